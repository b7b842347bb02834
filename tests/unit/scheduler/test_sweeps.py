"""What time does, on memory: leases, timers, repairs; and what it must not do while nobody could be heard."""

from dataclasses import replace
from datetime import datetime

import pytest_asyncio

from contracts.events import (
    AgentPulse,
    AttemptInHand,
    AttemptVoid,
    ChunkAssigned,
    ChunkCompleted,
    FramesStored,
    JobProgressed,
    StoredFrame,
)
from contracts.values import Kind, frames
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain.agent import Agent, Decided, pulsed
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.cutting import cut
from services.scheduler.domain.holding import Holder
from services.scheduler.domain.states import AgentState, ChunkState, JobState
from tests.unit.scheduler.builders import FRAME, POLICY, WU, a_chunk, a_job, a_sampled_job, an_agent
from tests.unit.scheduler.office import Office, in_anns_hand


@pytest_asyncio.fixture
async def office() -> Office:
    """One job whose only chunk ann has in hand; bob has no slot yet."""
    return await in_anns_hand(an_agent("bob", slots=0))


def the_chunk(office: Office) -> Chunk:
    return office.all_chunks()[0]


def endings(office: Office) -> list[Ending]:
    return [past.why for past in the_chunk(office).former]


async def pass_time(office: Office, seconds: int, *pulsing: str) -> None:
    """By steps of five seconds; these agents are heard, with everything they have in hand."""
    for _ in range(seconds // 5):
        office.clock.pass_by(5)
        for agent in pulsing:
            await office.agents.update(agent, _pulse)
        await office.sweep()


def _pulse(agent: Agent, now: datetime) -> Decided:
    return pulsed(agent, agent.run, [hand.attempt for hand in agent.hands], now, POLICY)


async def give_bob_a_slot(office: Office) -> None:
    await office.agents.update("bob", lambda agent, _: (replace(agent, slots=1), []))


async def test_a_silent_agent_loses_its_chunk_to_another_after_three_pulses(office: Office) -> None:
    await pass_time(office, 30, "bob")
    assert endings(office) == []
    await give_bob_a_slot(office)
    await pass_time(office, 10, "bob")
    assert endings(office) == [Ending.LOST]
    holder = the_chunk(office).holder
    assert holder is not None
    assert holder.agent == "bob"
    states = {agent.agent: agent.state for agent in office.all_agents()}
    assert states == {"ann": AgentState.OFFLINE, "bob": AgentState.ONLINE}


async def test_nobody_loses_a_lease_while_the_broker_is_away(office: Office) -> None:
    office.is_connected = False
    await pass_time(office, 300)
    assert endings(office) == []
    office.is_connected = True
    await pass_time(office, 25)
    assert endings(office) == [], "the agents have had no time to be heard again"
    await pass_time(office, 15)
    assert endings(office) == [Ending.LOST]


async def test_a_new_process_gives_everybody_time_to_be_heard(office: Office) -> None:
    await pass_time(office, 30, "ann", "bob")
    office.clock.pass_by(300)
    office.begin(POLICY)
    await pass_time(office, 10)
    assert endings(office) == []
    await pass_time(office, 100, "ann", "bob")
    assert endings(office) == []


async def test_a_completed_attempt_with_frames_missing_is_given_out_again(office: Office) -> None:
    held = the_chunk(office).holder
    assert held is not None
    await pass_time(office, 20, "ann", "bob")
    await office.chunks.update("chunk", lambda chunk, now: chunks.brought(chunk, held.attempt, "ann", [1, 2], now))
    await office.hear(ChunkCompleted(job="job", chunk="chunk", attempt=held.attempt), "ann")
    office.desk.verification.heard(await office.desk.now(), POLICY)
    await pass_time(office, 15, "ann", "bob")
    assert endings(office) == [], "frames may still be in verification"
    await pass_time(office, 5, "ann", "bob")
    assert endings(office) == [Ending.INCOMPLETE]
    await pass_time(office, POLICY.retry_same, "ann", "bob")
    again = [one for one in office.told if isinstance(one, ChunkAssigned)][-1]
    assert list(frames(again.grant.frames)) == [3, 4]


async def test_a_live_agent_that_never_delivers_cannot_keep_a_chunk(office: Office) -> None:
    held = the_chunk(office).holder
    assert held is not None
    await pass_time(office, FRAME + POLICY.settle, "ann", "bob")
    assert endings(office) == []
    await pass_time(office, 10, "ann", "bob")
    assert endings(office) == [Ending.LOST]
    (void,) = [one for one in office.told if isinstance(one, AttemptVoid)]
    assert (void.agent, void.attempt) == ("ann", held.attempt)
    assert "no frame" in void.reason


async def test_who_delivers_frame_after_frame_keeps_its_chunk_to_its_last_end(office: Office) -> None:
    held = the_chunk(office).holder
    assert held is not None
    for frame in (1, 2):
        await pass_time(office, FRAME - 20, "ann", "bob")
        await office.hear(stored(held, frame))
    await pass_time(office, 4 * 120 + 120 - 2 * (FRAME - 20), "ann", "bob")
    assert endings(office) == []
    await pass_time(office, 5, "ann", "bob")
    assert endings(office) == [Ending.LOST]


async def test_while_storage_owes_its_word_nobody_is_held_to_have_brought_nothing(office: Office) -> None:
    """Its frames lie in the store. Nor is a silence of storage's waited for without end."""
    held = the_chunk(office).holder
    assert held is not None
    await pass_time(office, FRAME - 20, "ann", "bob")
    office.desk.verification.claimed(office.clock.at)
    await pass_time(office, 20 + POLICY.settle_silent, "ann", "bob")
    assert endings(office) == []
    await pass_time(office, 10, "ann", "bob")
    assert endings(office) == [Ending.LOST]


async def test_a_new_process_hears_what_was_stored_meanwhile_before_it_ends_an_attempt(office: Office) -> None:
    held = the_chunk(office).holder
    assert held is not None
    await pass_time(office, 30, "ann", "bob")
    office.clock.pass_by(FRAME)
    office.begin(POLICY)
    await pass_time(office, 10, "ann", "bob")
    assert endings(office) == []
    await office.hear(stored(held, 1))
    await pass_time(office, FRAME - 10, "ann", "bob")
    assert endings(office) == []


def stored(holder: Holder, frame: int) -> FramesStored:
    kept = StoredFrame(
        frame=frame, file_sha256="c" * 64, pixel_sha256="c" * 64, bytes=1, cpu_micros=WU, seconds=1.0, key="k"
    )  # fmt: skip
    return FramesStored(
        job="job", chunk="chunk", attempt=holder.attempt, agent=holder.agent, version=1, kind=Kind.RENDER, generation=0,
        frames=(kept,),
    )  # fmt: skip


async def test_the_hard_end_takes_nothing_that_its_agent_has_completed(office: Office) -> None:
    """Storage is away meanwhile; the frames lie there, and rendering them again would be for nothing."""
    held = the_chunk(office).holder
    assert held is not None
    await pass_time(office, FRAME, "ann", "bob")
    await office.hear(ChunkCompleted(job="job", chunk="chunk", attempt=held.attempt), "ann")
    await pass_time(office, POLICY.settle_silent, "ann", "bob")
    assert endings(office) == []
    assert [one for one in office.told if isinstance(one, AttemptVoid)] == []
    await pass_time(office, 10, "ann", "bob")
    assert endings(office) == [Ending.INCOMPLETE], "nor may it keep the chunk for ever"


async def test_an_assignment_that_never_arrived_is_given_out_again(office: Office) -> None:
    """Its agent pulses, and never speaks of the attempt."""
    for _ in range(12):
        office.clock.pass_by(5)
        await office.agents.note_heard({"ann": office.clock.at, "bob": office.clock.at})
        await office.sweep()
    assert endings(office) == [Ending.LOST]


async def test_a_stretch_that_was_cut_and_never_inserted_is_inserted() -> None:
    """The process died between the job's write and the chunk's."""
    office = Office()
    job, _ = cut(a_sampled_job(4), [1], 1, (), POLICY)
    await office.jobs.store.add("job", job)
    await office.sweep()
    assert [chunk.chunk for chunk in office.all_chunks()] == [job.cuts[0].chunk]
    assert office.job().cuts == ()


async def test_what_a_crash_left_open_of_an_ended_job_is_closed() -> None:
    office = Office()
    await office.jobs.store.add("job", a_job(state=JobState.CANCELLED, reason="cancelled by ada"))
    await office.chunks.store.add("chunk", a_chunk())
    await office.sweep()
    assert the_chunk(office).state is ChunkState.CLOSED


async def test_a_job_with_everything_stored_is_rendered_though_nobody_says_so() -> None:
    office = Office()
    await office.jobs.store.add("job", a_sampled_job(4, state=JobState.RENDERING, uncut=()))
    await office.chunks.store.add("chunk", a_chunk(state=ChunkState.COMPLETED))
    await office.sweep()
    assert office.job().state is JobState.PACKAGING


async def test_a_job_that_nobody_can_work_on_says_what_it_waits_for() -> None:
    office = Office()
    await office.jobs.store.add("job", a_sampled_job(4))
    await office.sweep()
    said = [one for one in office.told if isinstance(one, JobProgressed)]
    assert "none is online" in said[-1].reason
    await office.agents.store.add("ann", an_agent("ann"))
    await office.sweep()
    await office.sweep()
    said = [one for one in office.told if isinstance(one, JobProgressed)]
    assert "none is online" not in said[-1].reason


async def test_a_pulse_on_a_void_attempt_is_answered_and_a_full_mailbox_stops_nobody(office: Office) -> None:
    hand = AttemptInHand(attempt="never-given", chunk="chunk", job="job")
    pulse = AgentPulse(run="run-1", attempts=(hand,))
    await office.hear(pulse, "bob")
    (void,) = [one for one in office.told if isinstance(one, AttemptVoid)]
    assert (void.agent, void.attempt) == ("bob", "never-given")
    office.full_mailboxes.add("bob")
    office.clock.pass_by(10)
    await office.hear(pulse, "bob")
    assert {agent.agent: agent.seen_at for agent in office.all_agents()}["bob"] == office.clock.at
