"""One click on what an inspection offers, through intake's door: one new job, the old one stopped, whoever repeats it."""

from typing import Any

from contracts import events as e
from contracts.changes import Change, Support
from contracts.values import Finding, FrameRange, Severity
from tests.integration.intake_stage import Person, Stage, the_renter, the_stage, the_stranger  # noqa: F401
from tests.waiting import until


async def an_inspected_job(stage: Stage, renter: Person, severity: Severity = Severity.ERROR) -> str:
    job = await stage.a_job(renter, frames="2-9")
    finding = Finding(code="engine", severity=severity, text="EEVEE.", fix="Cycles.", change=Change.RENDER_WITH_CYCLES)
    told = e.JobInspected(
        job=job, account=renter.id, accepted=severity is not Severity.ERROR, findings=(finding,), support=Support.WITH_CHANGES
    )
    await stage.world.say("scheduler", told)
    await stage.seen(renter, job, lambda view: bool(view["findings"]), "the findings are seen")
    return job


def changes(*names: str) -> dict[str, Any]:
    return {"changes": list(names)}


async def test_a_change_submits_the_job_again_once_and_stops_the_old_one(stage: Stage, renter: Person) -> None:
    job = await an_inspected_job(stage, renter)
    path = f"/v1/jobs/{job}/changes"
    first = await renter.post(path, changes("render-with-cycles"), key="once")
    again = await renter.post(path, changes("render-with-cycles"), key="once")
    assert (first.status_code, again.status_code) == (202, 202), first.text
    new = first.json()["job"]["id"]
    assert again.json()["job"]["id"] == new != job
    assert first.json()["job"]["changes"] == ["render-with-cycles"]
    told = await stage.world.hear(e.JobSubmitted, job=new)
    assert told.frames == (FrameRange(first=2, last=9),)
    assert told.settings.changes == (Change.RENDER_WITH_CYCLES,)
    assert len(stage.world.said(e.JobSubmitted, job=new)) == 1
    assert (await stage.world.hear(e.JobControlled, job=job)).action is e.Action.CANCEL
    assert (await renter.get(f"/v1/jobs/{job}")).json()["replaced_by"] == new


async def test_the_answer_opens_the_new_jobs_page(stage: Stage, renter: Person) -> None:
    job = await an_inspected_job(stage, renter, Severity.WARNING)
    answer = await renter.post(f"/v1/jobs/{job}/changes", changes("render-with-cycles"), key="open")
    opened = await renter.get(answer.json()["path"])
    assert opened.status_code == 303
    assert opened.headers["location"] == f"/jobs/{answer.json()['job']['id']}"


async def test_a_second_click_is_told_of_the_first_ones_job(stage: Stage, renter: Person) -> None:
    job = await an_inspected_job(stage, renter)
    path = f"/v1/jobs/{job}/changes"
    new = (await renter.post(path, changes("render-with-cycles"), key="left")).json()["job"]["id"]
    second = await renter.post(path, changes("render-with-cycles"), key="right")
    assert (second.status_code, second.json()["type"]) == (409, "urn:framelend:problem:changed-already")
    assert new in second.json()["detail"]
    ended = e.JobStateChanged(job=new, account=renter.id, state="cancelled", reason="Cancelled.", revision=9)
    await stage.world.say("scheduler", ended)
    await stage.seen(renter, new, lambda view: view["state"] == "cancelled", "the new job is cancelled")

    async def third() -> bool:
        return (await renter.post(path, changes("render-with-cycles"), key="third")).status_code == 202

    await until(third, "another try is taken once the first has ended")


async def test_changes_that_are_not_offered_or_not_known_are_refused(stage: Stage, renter: Person) -> None:
    job = await an_inspected_job(stage, renter)
    path = f"/v1/jobs/{job}/changes"
    answer = await renter.post(path, changes("one-view"), key="a")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:framelend:problem:not-offered")
    assert (await renter.post(path, changes("delete-everything"), key="b")).status_code == 422
    assert (await renter.post(path, changes(), key="c")).status_code == 422
