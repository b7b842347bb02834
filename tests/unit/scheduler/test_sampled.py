"""Through the real handlers: what attempts say of their memory changes what is asked of the next agents; progress is told."""

from typing import Any, cast

import pytest

from contracts.events import AgentPulse, AttemptInHand, ChunkFailed, Fault, JobProgressed, Resources, ResourcesSampled
from contracts.values import Kind
from services.chassis.verdicts import SenderFault
from services.scheduler.domain import memory
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import GIB, a_chunk, a_hand, a_holder, a_sampled_job, an_agent
from tests.unit.scheduler.office import Office

GUESS = 8 * GIB


def said(peak: int, last: bool = True, **changes: Any) -> ResourcesSampled:
    ids = {"job": "job", "chunk": "chunk", "attempt": "first", **changes}
    return ResourcesSampled(**ids, resources=Resources(memory_peak_bytes=peak), last=last)


async def an_office(house: bool = True, kind: Kind = Kind.RENDER) -> Office:
    """One agent renders the one chunk of a job whose need was guessed."""
    office = Office()
    agent = an_agent(house=house, hands=(a_hand(heard=True),))
    chunk = a_chunk(4, state=ChunkState.RENDERING, holder=a_holder(), kind=kind)
    job = a_sampled_job(memory_bytes=GUESS, state=JobState.RENDERING)
    await put(office, job, chunk, agent)
    return office


async def put(office: Office, job: Job, chunk: Chunk, agent: Any) -> None:
    for store, id, state in (
        (office.jobs.store, job.job, job),
        (office.chunks.store, chunk.chunk, chunk),
        (office.agents.store, agent.agent, agent),
    ):
        cast(Any, store).states[id] = (1, state)


async def test_the_houses_last_word_lowers_what_the_next_agents_must_have() -> None:
    office = await an_office()
    await office.hear(said(GIB, last=False), "ann")
    assert memory.need(office.job()) == GUESS
    await office.hear(said(GIB), "ann")
    assert memory.need(office.job()) == GIB * memory.MARGIN_PERCENT // 100


@pytest.mark.parametrize("changes", [{"attempt": "never-given"}, {"job": "other"}, {"chunk": "other"}])
async def test_who_speaks_of_an_attempt_it_was_never_given_is_refused(changes: dict[str, Any]) -> None:
    office = await an_office()
    with pytest.raises(SenderFault):
        await office.hear(said(GIB, **changes), "ann")
    with pytest.raises(SenderFault):
        await office.hear(said(GIB), "bob")
    assert memory.need(office.job()) == GUESS


async def test_an_inspection_teaches_nothing_about_rendering() -> None:
    office = await an_office(kind=Kind.INSPECT)
    await office.hear(said(GIB), "ann")
    assert memory.need(office.job()) == GUESS


async def test_an_attempt_that_runs_out_of_memory_brings_the_guess_back() -> None:
    office = await an_office()
    await office.hear(said(GIB), "ann")
    await office.hear(ChunkFailed(job="job", chunk="chunk", attempt="first", fault=Fault.MEMORY), "ann")
    assert memory.need(office.job()) == GUESS


async def test_how_far_a_frame_is_is_told_in_numbers_without_the_lenders_words() -> None:
    office = await an_office(house=False)
    hand = AttemptInHand(
        attempt="first", chunk="chunk", job="job", frame=3, frame_started_seconds_ago=4.0, text="buy now", sample=2, samples=8,
        remaining_seconds=9.0,
    )  # fmt: skip
    await office.hear(AgentPulse(run="run-1", attempts=(hand,)), "ann")
    await office.desk.progress.tell()
    (told,) = [event for event in office.told if isinstance(event, JobProgressed)]
    (far,) = told.agents[0].under_way
    assert (far.frame, far.seconds, far.sample, far.samples, far.remaining_seconds) == (3, 4.0, 2, 8, 9.0)
    assert "buy" not in told.model_dump_json()
