"""From stored frames to the renter's answer: the scheduler's own handlers and sweeps on memory."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from prometheus_client import REGISTRY

from contracts.events import (
    Action,
    CreditsHeld,
    FramesStored,
    JobControlled,
    JobEstimated,
    JobQuoted,
    QuoteDeclined,
    QuoteExpired,
    StoredFrame,
)
from contracts.values import Band, Feasibility, Kind, Limits
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import AgentState, JobState
from tests.unit.scheduler.builders import NOW, WU, a_sampled_job, a_submission, an_agent, span
from tests.unit.scheduler.office import Office

BAND = Band(low=90 * WU, expected=100 * WU, high=110 * WU)


async def an_office(lenders: tuple[str, ...] = ("ann", "bob", "cyd"), **changes: Any) -> Office:
    """A job of a hundred frames of 1 WU is quoted; forty of its frames are given out."""
    office = Office()
    for name in lenders:
        await office.agents.add(an_agent(name), ())
    fields: dict[str, Any] = {"state": JobState.ESTIMATING, "micro_wu": BAND, **changes}
    await office.jobs.store.add("job", a_sampled_job(**fields))
    await office.hear(a_price(1))
    await office.hear(CreditsHeld(job="job", account="ada", version=1, amount_micro=1))
    await office.jobs.update("job", lambda job, _: (cut(job), []))
    return office


def cut(job: Job) -> Job:
    return a_sampled_job(state=JobState.RENDERING, micro_wu=job.micro_wu, uncut=span(41, 100), revision=job.revision)


def a_price(version: int) -> JobQuoted:
    band = Band(low=1, expected=2, high=3)
    return JobQuoted(
        job="job", account="ada", version=version, price_micro=5, lines=(), micro_wu=band, seconds=band, expires_at=NOW
    )  # fmt: skip


def stored(agent: str, cost: float, *numbers: int) -> FramesStored:
    kept = tuple(
        StoredFrame(frame=n, file_sha256="c" * 64, pixel_sha256="d" * 64, bytes=1, cpu_micros=int(cost * 950_000), key="k")
        for n in numbers
    )
    ids = {"job": "job", "chunk": "c", "attempt": "a", "agent": agent, "kind": Kind.RENDER, "generation": 0, "version": 1}
    return FramesStored.model_validate({**ids, "frames": kept})


async def rendered(office: Office, **costs: float) -> list[JobEstimated]:
    """Each of them ten frames more, at so many times the quote. What the renter is asked because of it."""
    for at, (agent, cost) in enumerate(costs.items()):
        known = await office.agents.get(agent)
        assert known is not None
        assert known.benchmark is not None
        office.desk.quoting.note(stored(agent, cost * known.benchmark.cpu_micros / 950_000, *range(1 + 10 * at, 11 + 10 * at)))
    await office.desk.quoting.fold()
    return [one for one in office.told if isinstance(one, JobEstimated)]


async def test_a_quote_is_kept_when_its_price_is_made_and_what_became_of_it_is_added() -> None:
    office = await an_office()
    await rendered(office, ann=1.05, bob=0.95)
    kept = await office.quotes.get("job", 1)
    assert kept is not None
    assert kept.price_micro == 5
    assert {(one.owner, one.frames) for one in kept.witnesses} == {("owner-of-ann", 10), ("owner-of-bob", 10)}


async def test_a_dear_job_is_asked_about_once_and_goes_on_when_the_new_price_is_held() -> None:
    """Positive control: as quoted it is asked about nothing."""
    assert await rendered(await an_office(), ann=1.0, bob=1.0, cyd=1.0) == []
    office = await an_office()
    (asked,) = await rendered(office, ann=2.0, bob=2.0, cyd=2.0)
    assert (asked.version, asked.frames) == (2, span(41, 100))
    assert office.job().state is JobState.REQUOTING
    assert await rendered(office, ann=2.0, bob=2.0) == [asked], "frames under way come late; nobody is asked again"
    await office.hear(a_price(2))
    assert office.job().state is JobState.REQUOTING
    assert await office.quotes.get("job", 2) is not None
    await office.hear(CreditsHeld(job="job", account="ada", version=2, amount_micro=1))
    assert office.job().state is JobState.RENDERING


async def test_a_new_price_comes_with_the_time_by_the_farm_as_it_is_and_with_what_that_means_for_the_deadline() -> None:
    office = await an_office()
    due = NOW + timedelta(seconds=30)
    await office.jobs.update("job", lambda job, _: (replace(job, asked=a_submission(limits=Limits(deadline=due))), []))
    (asked,) = await rendered(office, ann=2.0, bob=2.0, cyd=2.0)
    assert asked.seconds.expected == asked.micro_wu.expected // (3 * WU)
    assert asked.outlook is not None
    assert (asked.outlook.feasibility, asked.outlook.deadline) == (Feasibility.IMPOSSIBLE, due)
    alone = await an_office(lenders=("ann",))
    await alone.agents.add(an_agent("bob", state=AgentState.OFFLINE), ())
    (asked,) = await rendered(alone, ann=2.0, bob=2.0)
    assert asked.seconds.expected == asked.micro_wu.expected // WU, "control: one machine is there"


async def test_one_lender_alone_has_nobody_asked() -> None:
    assert await rendered(await an_office(), ann=8.0, bob=1.0, cyd=1.0) == []


async def test_declined_or_silent_the_job_ends_with_what_is_finished() -> None:
    for answer in (QuoteDeclined(job="job", account="ada", version=2), QuoteExpired(job="job", account="ada", version=2)):
        office = await an_office()
        await rendered(office, ann=2.0, bob=2.0)
        await office.hear(answer)
        assert office.job().state is JobState.CANCELLED
        assert "the finished frames are yours" in office.job().reason


def counted(measured: str) -> float:
    return REGISTRY.get_sample_value("framelend_scheduler_quote_error_ratio_count", {"measured": measured}) or 0.0


async def test_the_error_of_a_superseded_quote_counts_once() -> None:
    before, office = counted("partial"), await an_office()
    await rendered(office, ann=2.0, bob=2.0)
    assert office.job().version == 2
    await rendered(office, ann=2.0)
    assert counted("partial") == before + 1


async def test_the_error_of_a_job_that_ends_before_all_its_frames_are_rendered_counts_once() -> None:
    before, office = counted("partial"), await an_office()
    await rendered(office, ann=1.5)
    assert counted("partial") == before, "more is to come"
    cancel = JobControlled(job="job", account="ada", revision=1, action=Action.CANCEL, by="ada")
    await office.hear(cancel)
    await rendered(office, bob=1.5)
    assert counted("partial") == before + 1
    await office.hear(cancel.model_copy(update={"revision": 2}))
    await office.desk.quoting.fold()
    assert counted("partial") == before + 1


async def test_the_error_of_a_quote_all_of_whose_frames_are_measured_counts_as_complete() -> None:
    before, partial, office = counted("complete"), counted("partial"), await an_office()
    office.desk.quoting.note(stored("ann", 1.0, *range(1, 51)))
    office.desk.quoting.note(stored("ann", 1.0, *range(51, 101)))
    await office.desk.quoting.fold()
    await office.hear(JobControlled(job="job", account="ada", revision=1, action=Action.CANCEL, by="ada"))
    await office.desk.quoting.fold()
    assert (counted("complete"), counted("partial")) == (before + 1, partial)
