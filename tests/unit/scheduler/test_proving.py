"""What breaks an agent's row of failures and what lengthens it: storage's word, not its own."""

from dataclasses import replace

import pytest
import pytest_asyncio

from contracts.events import ChunkCompleted, ChunkReleased, FramesStored, Release, StoredFrame
from contracts.values import FrameRange, Kind
from services.scheduler.domain import agent as agents
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.rows import Interruptions
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import POLICY, WU, a_chunk, a_sampled_job, an_agent
from tests.unit.scheduler.office import Office

ROW = Interruptions("job", 1, failures=1)


@pytest_asyncio.fixture
async def office() -> Office:
    """Ann has failed a chunk of the job before, and has its only one in hand."""
    it = Office()
    await it.jobs.store.add("job", a_sampled_job(4, state=JobState.RENDERING, uncut=()))
    await it.agents.store.add("ann", an_agent("ann", interruptions=(ROW,)))
    await it.chunks.store.add("chunk", a_chunk(version=1))
    await it.sweep()
    assert attempt(it)
    return it


def attempt(office: Office) -> str:
    holder = office.all_chunks()[0].holder
    return holder.attempt if holder else ""


def ann(office: Office) -> Agent:
    return {agent.agent: agent for agent in office.all_agents()}["ann"]


async def done(office: Office, attempt: str) -> None:
    await office.hear(ChunkCompleted(job="job", chunk="chunk", attempt=attempt), "ann")


async def stored(office: Office, attempt: str, *frames: int) -> None:
    kept = tuple(
        StoredFrame(frame=at, file_sha256="c" * 64, pixel_sha256="c" * 64, bytes=1, cpu_micros=WU, seconds=1.0, key="k")
        for at in frames
    )
    await office.hear(
        FramesStored(
            job="job", chunk="chunk", attempt=attempt, agent="ann", version=1, kind=Kind.RENDER, generation=0, frames=kept
        )
    )


async def pass_time(office: Office, seconds: int) -> None:
    for _ in range(seconds // 5):
        office.clock.pass_by(5)
        await office.agents.note_heard({"ann": office.clock.at})
        await office.sweep()


async def test_a_word_alone_breaks_no_row_and_storage_of_all_frames_does(office: Office) -> None:
    given = attempt(office)
    await done(office, given)
    assert ann(office).interruptions == (ROW,)
    await stored(office, given, 1, 2, 3)
    assert ann(office).interruptions == (ROW,)
    await stored(office, given, 4)
    assert ann(office).interruptions == ()


async def test_storage_may_speak_before_the_agent(office: Office) -> None:
    given = attempt(office)
    await stored(office, given, 1, 2, 3, 4)
    assert ann(office).interruptions == ()
    await done(office, given)
    assert ann(office).hands == ()


async def said_in_vain(office: Office) -> str:
    """The attempt is done by its agent's word, brought nothing, and storage looks at other things meanwhile."""
    given = attempt(office)
    await pass_time(office, 20)
    await done(office, given)
    office.clock.pass_by(1)
    office.desk.verification.heard(office.clock.at, POLICY)
    await pass_time(office, POLICY.settle + 10)
    return given


async def test_who_says_it_is_done_and_brought_nothing_is_kept_off_the_job_after_two_such_words(office: Office) -> None:
    await said_in_vain(office)
    (row,) = ann(office).interruptions
    assert agents.is_barred(ann(office), "job", office.clock.at), row
    assert ann(office).standing.reliability < 80


async def test_nobody_is_blamed_for_frames_that_storage_has_not_looked_at(office: Office) -> None:
    """Control of the test before: the same, but storage says nothing."""
    given = attempt(office)
    await pass_time(office, 20)
    await done(office, given)
    await pass_time(office, POLICY.settle_silent + 10)
    assert attempt(office) not in ("", given), "it is rendered again, by the same agent at once"
    assert ann(office).interruptions == (ROW,)


async def test_frames_that_come_after_all_make_up_for_the_blame(office: Office) -> None:
    """Storage had more to look at than it could in time."""
    given = await said_in_vain(office)
    assert agents.is_barred(ann(office), "job", office.clock.at)
    await stored(office, given, 1, 2, 3)
    assert agents.is_barred(ann(office), "job", office.clock.at), "one frame is no chunk"
    await stored(office, given, 4)
    assert ann(office).interruptions == ()


async def test_who_gives_a_chunk_back_is_blamed_once(office: Office) -> None:
    given = attempt(office)
    await pass_time(office, 20)
    there = (FrameRange(first=1, last=2),)
    said = ChunkReleased(job="job", chunk="chunk", attempt=given, reason=Release.STOPPED, delivered=there)
    await office.hear(said, "ann")
    office.clock.pass_by(1)
    office.desk.verification.heard(office.clock.at, POLICY)
    await pass_time(office, POLICY.settle + 10)
    assert ann(office).interruptions == (replace(ROW, in_row=2),)


@pytest.mark.parametrize("house", [False, True])
async def test_whoever_brings_nothing_in_time_is_interrupted_and_the_house_is_not(office: Office, house: bool) -> None:
    given = attempt(office)
    await office.agents.update("ann", lambda agent, _: (replace(agent, house=house), []))
    for _ in range(60):
        office.clock.pass_by(5)
        await office.agents.update("ann", lambda agent, now: agents.pulsed(agent, agent.run, [given], now, POLICY))
        await office.sweep()
    assert attempt(office) != given
    assert ann(office).interruptions == ((ROW,) if house else (replace(ROW, in_row=2),))
