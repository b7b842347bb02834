"""Through the door: what a renter changes on his job, what the operator may do to any job and to the whole farm; what a lender
sees of his machines and of what they earn."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from contracts import events as e
from tests.integration.intake_stage import Person, Stage, a_band, inspected, stored_frames, the_renter, the_stage, the_stranger  # noqa: F401
from tests.waiting import until


async def test_changes_are_told_with_all_that_stands_and_shown(stage: Stage, renter: Person) -> None:
    job = await stage.a_job(renter, priority=3)
    later = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    answer = await renter.http.patch(f"/v1/jobs/{job}", json={"deadline": later.isoformat(), "price_per_wu": "0.02"})
    assert answer.status_code == 202, answer.text
    told = await stage.world.hear(e.JobControlled, job=job, revision=2)
    assert told.wishes is not None
    assert (told.wishes.priority, told.wishes.deadline, told.wishes.price_per_wu_micro) == (3, later, 20_000)
    assert (answer.json()["price_per_wu"], answer.json()["priority"]) == ("0.02", 3)
    wrong = await renter.http.patch(f"/v1/jobs/{job}", json={"deadline": "2020-01-01T00:00:00Z"})
    assert wrong.json()["type"] == "urn:framelend:problem:deadline-over"


async def test_a_missed_deadline_is_told_in_the_jobs_story_once_for_each_deadline(stage: Stage, renter: Person) -> None:
    job = await stage.a_held_job(renter)
    due = datetime(2026, 11, 21, 9, tzinfo=UTC)
    missed = e.DeadlineMissed(job=job, account=renter.id, deadline=due, lacking=7, remaining_seconds=a_band(60))
    later = missed.model_copy(update={"deadline": due + timedelta(hours=2), "lacking": 3})
    await stage.world.say("scheduler", missed, missed, later)

    async def told() -> list[str]:
        story = (await renter.get(f"/v1/jobs/{job}/timeline")).json()
        return [line["text"] for line in story if line["kind"] == "deadline.missed"]

    async def both() -> bool:
        return len(await told()) >= 2

    await until(both, "both are in the story")
    assert sorted(await told()) == [
        "The deadline of 2026-11-21 09:00 UTC is missed: 7 frames are not stored yet.",
        "The deadline of 2026-11-21 11:00 UTC is missed: 3 frames are not stored yet.",
    ], "in whatever order they came"


async def test_frames_are_left_out_and_the_limit_is_firm_once_the_price_is_accepted(stage: Stage, renter: Person) -> None:
    job = await stage.a_held_job(renter)
    await stage.world.say("scheduler", inspected(job, renter.id))
    await stage.world.say("storage", stored_frames(job, 1, 2))
    await stage.seen(renter, job, lambda view: view["stored"] == 2 and view["frames"], "two frames are stored")
    answer = await renter.post(f"/v1/jobs/{job}/skip", {"frames": "2-4"})
    assert (answer.json()["left_out"], answer.json()["total"]) == ("3-4", 8), "what is stored stays"
    told = await stage.world.hear(e.JobControlled, job=job, revision=1)
    assert told.wishes is not None
    assert [(one.first, one.last) for one in told.wishes.left_out] == [(3, 4)]
    firm = await renter.http.patch(f"/v1/jobs/{job}", json={"max_cost": "9"})
    assert firm.json()["type"] == "urn:framelend:problem:price-firm"


async def test_the_operator_may_have_a_job_tried_again_and_a_stranger_may_not(
    stage: Stage, renter: Person, stranger: Person
) -> None:
    job = await stage.a_held_job(renter)
    assert (await stranger.post(f"/v1/jobs/{job}/retry", {}, key=uuid4().hex)).status_code == 404
    assert (await stage.operator.post(f"/v1/jobs/{job}/retry", {}, key=uuid4().hex)).status_code == 202
    told = await stage.world.hear(e.JobControlled, job=job, revision=1)
    assert (told.by, told.account, told.wishes and told.wishes.retries) == ("operator", renter.id, 1)


async def test_a_failed_job_is_submitted_again_for_what_it_lacks_once_for_each_key(stage: Stage, renter: Person) -> None:
    job = await stage.a_held_job(renter)
    await stage.world.say("scheduler", inspected(job, renter.id))
    await stage.world.say("storage", stored_frames(job, 1, 2, 3))
    failed = e.JobStateChanged(job=job, account=renter.id, state="failed", reason="it broke", revision=9)
    await stage.world.say("scheduler", failed)
    await stage.seen(renter, job, lambda view: view["state"] == "failed" and view["stored"] == 3 and view["frames"], "it failed")
    again = [(await renter.post(f"/v1/jobs/{job}/retry", {"without": "7"}, key="same")).json() for _ in range(2)]
    assert {one["id"] for one in again} == {again[0]["id"]} != {job}
    assert again[0]["asked_frames"] == "4-6,8-10"
    foreign = await stage.operator.post(f"/v1/jobs/{job}/retry", {}, key=uuid4().hex)
    assert foreign.json()["type"] == "urn:framelend:problem:not-yours"


async def test_the_farm_is_ordered_by_the_operator_alone_and_everybody_is_shown(stage: Stage, renter: Person) -> None:
    assert (await renter.post("/v1/farm/orders", {"order": "stop"})).status_code == 403
    assert not stage.world.said(e.FarmControlled)
    job = await stage.a_held_job(renter)
    try:
        stopped = (await stage.operator.post("/v1/farm/orders", {"order": "stop"})).json()
        assert (stopped["order"], stopped["revision"]) == ("stop", 1)
        assert (await stage.world.hear(e.FarmControlled, revision=1)).order == "stop"
        await stage.seen(renter, job, lambda view: "stopped by its operator" in view["notice"], "the job's page says so")
        health = (await renter.http.get("/health")).json()
        assert health["ok"]
        assert "stopped by its operator" in health["notes"][0]
    finally:
        await stage.operator.post("/v1/farm/orders", {"order": "resume"})
    await stage.seen(renter, job, lambda view: view["notice"] == "", "it goes on")
    assert (await renter.get("/v1/farm")).json()["order"] == "resume"


async def test_what_agents_earn_is_absolute_and_seen_by_their_owner(stage: Stage, renter: Person) -> None:
    lender = await stage.a_person("lender")
    job = await stage.a_held_job(renter)
    await stage.world.say("scheduler", e.AgentChanged(agent="machine-1", owner=lender.id, state="online", revision=3, cores=1.5))
    await stage.world.say("scheduler", e.AgentEnrolled(agent="machine-1", owner=lender.id, name="Lena's"))
    await stage.world.say("scheduler", e.AgentChanged(agent="machine-1", owner=lender.id, state="offline", revision=2))
    await stage.world.say("billing", *[_charged(job, renter.id, lender.id, revision) for revision in (1, 3, 2)])

    async def earned() -> bool:
        return bool((await lender.get("/v1/earnings")).json()["earned"] == "0.3")

    async def machine() -> bool:
        agents = (await lender.get("/v1/agents")).json()
        told = [(one["id"], one["name"], one["state"], one["cores"]) for one in agents]
        return told == [("machine-1", "Lena's", "online", 1.5)]

    async def shown() -> bool:
        view = (await renter.get(f"/v1/jobs/{job}")).json()
        return bool(view["charged"] == "0.3" and view["agents"] and view["agents"][0]["earned"] == "0.3")

    await until(earned, "the third sum is shown")
    await until(machine, "the agent is shown as the newest word says")
    await until(shown, "the renter sees it too")
    await stage.world.say("billing", _charged(job, renter.id, lender.id, 2))
    found = (await lender.get("/v1/earnings")).json()
    assert (found["frames"], found["agents"][0]["jobs"], found["jobs"][0]["final"]) == (3, 1, False)
    other = await stage.a_held_job(renter)
    await stage.world.say("billing", _charged(other, renter.id, lender.id, 1))
    await until(lambda: _newest(lender, other), "what changed last comes first")
    await stage.world.say("billing", _charged(job, renter.id, lender.id, 4))
    await until(lambda: _newest(lender, job), "also when it is not new")


async def _newest(lender: Person, job: str) -> bool:
    return bool((await lender.get("/v1/earnings")).json()["jobs"][0]["job"] == job)


def _charged(job: str, renter: str, lender: str, revision: int) -> e.JobCharged:
    one = e.AgentCharge(agent="machine-1", owner=lender, frames=revision, micro_wu=revision, earned_micro=revision * 100_000)
    return e.JobCharged(
        job=job, account=renter, revision=revision, charged_micro=revision * 100_000, frames=revision, agents=(one,)
    )
