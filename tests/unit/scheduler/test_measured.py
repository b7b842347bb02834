"""How much of what a lender says of his samples counts: nobody has worked for longer than he has had the attempt."""

from datetime import datetime

import pytest

from contracts.events import AgentPulse, AgentReady, ChunkAssigned, ChunkFailed, Fault, FramesStored, ProbeMeasured, StoredFrame
from contracts.grants import Grant
from contracts.values import Benchmark, Hardware, Kind, Picture
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import measured, sampling
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import GIB, IMAGE, NOW, WU, a_chunk, a_holder, a_job, an_agent, later, some_facts, span
from tests.unit.scheduler.office import Office

BUDGET = 120
CLAIM = BUDGET * WU


def held() -> Chunk:
    return chunks.claimed(a_chunk(1, kind=Kind.SAMPLE), a_holder())


@pytest.mark.parametrize(
    ("now", "is_house", "seconds"),
    [(later(1), False, 1), (later(500), False, BUDGET), (later(1), True, BUDGET), (later(-60), False, BUDGET)],
)
def test_a_lender_has_worked_since_he_was_given_the_attempt_at_most(now: datetime, is_house: bool, seconds: int) -> None:
    """Not the house, and not where the database's clock was put back meanwhile."""
    assert measured.seconds(held(), "first", is_house, BUDGET, now) == seconds
    gone = chunks.gave_up(held(), "first", Ending.LOST, NOW)
    assert measured.seconds(gone, "first", is_house, BUDGET, now) == seconds, "also when it does not hold the chunk any more"
    assert measured.seconds(gone, "unknown", is_house, BUDGET, now) == BUDGET


@pytest.mark.parametrize(("passed", "is_used_up"), [(107, False), (108, True), (121, True)])
def test_a_time_budget_is_used_up_when_nine_tenths_of_it_have_passed(passed: int, is_used_up: bool) -> None:
    assert measured.is_used_up(held(), "first", False, BUDGET, later(passed)) is is_used_up


# --- through the handlers


class Sampling:
    """A job of a hundred frames that is sampled by the house and by ann, who has four slots of one core."""

    def __init__(self, office: Office) -> None:
        self.office, self.seen = office, set[str]()

    def given(self, *kinds: Kind) -> list[Grant]:
        """To ann, and not asked for yet."""
        grants = [one.grant for one in self.office.told if isinstance(one, ChunkAssigned) and one.grant.agent == "ann"]
        new = [one for one in grants if one.kind in kinds and one.attempt not in self.seen]
        self.seen |= {one.attempt for one in new}
        return new

    async def pass_by(self, seconds: float) -> None:
        self.office.clock.pass_by(seconds)
        await self.office.hear(AgentPulse(run="run-1"), "house")

    async def is_too_slow(self, grant: Grant) -> None:
        ids = {"job": "job", "chunk": grant.chunk, "attempt": grant.attempt}
        failed = ChunkFailed(**ids, fault=Fault.TIME, frame=grant.frames[0].first, cpu_micros=CLAIM)
        await self.office.hear(failed, "ann")

    async def takes_more(self) -> None:
        said = AgentReady(
            run="run-1", slots=4, hardware=Hardware(cores=1, memory_bytes=4 * GIB), images=(IMAGE,),
            benchmark=Benchmark(cpu_micros=WU, wall_micros=WU),
        )  # fmt: skip
        await self.office.hear(said, "ann")
        await self.office.sweep()

    async def brings(self, grant: Grant) -> None:
        kept = StoredFrame(
            frame=grant.frames[0].first, file_sha256="c" * 64, pixel_sha256="d" * 64, bytes=1, cpu_micros=CLAIM, key="k"
        )  # fmt: skip
        ids = {"job": "job", "chunk": grant.chunk, "attempt": grant.attempt, "agent": "ann"}
        await self.office.hear(FramesStored(**ids, kind=grant.kind, generation=0, version=0, frames=(kept,)))

    def work(self) -> dict[str, int]:
        """By attempt, of what ann has done."""
        return {one.attempt: one.micro_wu for one in self.office.job().measured if one.agent == "ann"}

    def ann(self) -> Agent:
        return next(one for one in self.office.all_agents() if one.agent == "ann")


async def a_sampling() -> Sampling:
    office = Office()
    picture = Picture(width=480, height=270)
    job = a_job(state=JobState.INSPECTING, frames=span(1, 100), total=100, facts=some_facts(), picture=picture, memory_bytes=GIB)
    await office.jobs.store.add("job", sampling.begun(job, office.desk.policy)[0])
    await office.agents.store.add("house", an_agent("house", house=True))
    await office.agents.store.add("ann", an_agent("ann", slots=4))
    await office.sweep()
    return Sampling(office)


async def test_who_says_at_once_that_a_sample_takes_too_long_has_failed_and_is_not_paid() -> None:
    it = await a_sampling()
    grant, *_ = it.given(Kind.SAMPLE)
    await it.pass_by(1)
    await it.is_too_slow(grant)
    assert it.work() == {}
    assert [row.failures for row in it.ann().interruptions] == [1]
    assert it.ann().standing.reliability < an_agent().standing.reliability
    chunk = await it.office.chunks.get(grant.chunk)
    assert chunk is not None
    assert (chunk.state, chunk.tries[0].count) == (ChunkState.QUEUED, 1), "another one tries it"
    assert not any(one.probing for one in it.office.job().samples)


async def test_a_sample_that_has_used_up_its_budget_is_paid_and_probed_and_nobodys_fault() -> None:
    it = await a_sampling()
    grant, *_ = it.given(Kind.SAMPLE)
    await it.pass_by(BUDGET + 1)
    await it.is_too_slow(grant)
    assert it.work() == {grant.attempt: CLAIM * 95 // 100}
    assert it.ann().interruptions == ()
    assert [one.frame for one in it.office.job().samples if one.probing] == [grant.frames[0].first]


async def test_a_probe_counts_for_no_more_than_the_time_it_has_taken() -> None:
    it = await a_sampling()
    grant, *_ = it.given(Kind.SAMPLE)
    await it.pass_by(BUDGET + 1)
    await it.is_too_slow(grant)
    await it.takes_more()
    (probe,) = it.given(Kind.PROBE)
    await it.pass_by(2)
    await it.office.hear(ProbeMeasured(grant=probe, frame=probe.frames[0].first, scale_percent=50, cpu_micros=CLAIM))
    assert it.work()[probe.attempt] == 2 * WU * 95 // 100


@pytest.mark.parametrize(("seconds", "counts"), [(3, 3), (60, 60), (200, BUDGET)])
async def test_a_sample_counts_for_no_more_than_the_time_it_has_taken(seconds: int, counts: int) -> None:
    it = await a_sampling()
    grant, *_ = it.given(Kind.SAMPLE)
    await it.pass_by(seconds)
    await it.brings(grant)
    assert it.work() == {grant.attempt: counts * WU * 95 // 100}
