"""Copies of slow chunks at the end of a job: who gets one, what it may cost, and what becomes of the two."""

from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from contracts.events import (
    Action,
    AttemptCancelled,
    ChunkAssigned,
    CopiesHonoured,
    FramesStored,
    FramesSuperfluous,
    JobControlled,
    JobRendered,
    StoredFrame,
)
from contracts.grants import Grant
from contracts.values import frames
from services.scheduler.copying import Copying
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import copies
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, Ending, brought, claimed
from services.scheduler.domain.copies import Copy
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import IMAGE, NOW, POLICY, WU, a_chunk, a_hand, a_holder, a_sampled_job, an_agent, later
from tests.unit.scheduler.office import Office

SLOW = 4 * WU
"""A minute: a frame of one WU takes a quarter of it."""


def an_ending_job(last: int = 8, **changes: Any) -> Job:
    return a_sampled_job(last, state=JobState.RENDERING, uncut=(), **changes)


def a_slow_agent() -> Agent:
    return an_agent("slow", micro_wu_per_minute=SLOW, hands=(a_hand(chunk="chunk"),))


def a_slow_chunk(last: int = 8) -> Chunk:
    return claimed(a_chunk(last, version=1), a_holder(agent="slow"))


def chosen(held: list[Chunk], *idle: Agent, job: Job | None = None, spent: int = 0) -> list[Copy]:
    paid = replace(job or an_ending_job(), copied_micro_wu=spent)
    return copies.chosen(Board(later(30), POLICY, IMAGE, {"job": paid}, [a_slow_agent(), *idle], []), held)


# --- who gets one


def test_an_idle_agent_gets_the_later_half_of_a_slow_chunk() -> None:
    (one,) = chosen([a_slow_chunk()], an_agent("idle"))
    assert (one.agent.agent, list(frames(one.copy.frames)), one.copy.copy_of) == ("idle", [5, 6, 7, 8], "chunk")


def test_what_the_holder_has_delivered_is_not_copied() -> None:
    chunk, _ = brought(a_slow_chunk(), "first", "slow", [1, 2], NOW)
    (one,) = chosen([chunk], an_agent("idle"))
    assert list(frames(one.copy.frames)) == [6, 7, 8], "of 3 to 8"


def test_of_a_holder_that_has_brought_nothing_since_long_everything_is_copied() -> None:
    stands = claimed(a_chunk(8, version=1), a_holder(agent="slow", at=later(-100)))
    (one,) = chosen([stands], an_agent("idle"))
    assert list(frames(one.copy.frames)) == list(range(1, 9))
    works, _ = brought(stands, "first", "slow", [1], later(0))
    assert chosen([works], an_agent("idle")) == []


def test_a_single_frame_is_copied_whole() -> None:
    slower = replace(a_slow_agent(), micro_wu_per_minute=WU)
    board = Board(later(30), POLICY, IMAGE, {"job": an_ending_job(1)}, [slower, an_agent("idle")], [])
    (one,) = copies.chosen(board, [a_slow_chunk(1)])
    assert list(frames(one.copy.frames)) == [1]


def test_who_would_not_be_sooner_gets_nothing() -> None:
    assert chosen([a_slow_chunk()], an_agent("idle", micro_wu_per_minute=SLOW // 2)) == []
    fast = claimed(a_chunk(8, version=1), a_holder(agent="fast", at=later(25)))
    assert chosen([fast], an_agent("fast", hands=(a_hand(),)), an_agent("idle")) == []


def test_the_house_the_holder_and_who_may_not_have_the_job_get_nothing() -> None:
    for agent in (an_agent("house", house=True), an_agent("slow", slots=2, hands=(a_hand(),)), an_agent("idle", images=())):
        assert chosen([a_slow_chunk()], agent) == []


def copied(held: Agent, owner: str, seconds: int = 30, **job: Any) -> bool:
    """Whether an idle machine of this owner gets a copy of what `held` has in hand."""
    board = Board(later(seconds), POLICY, IMAGE, {"job": an_ending_job(**job)}, [held, an_agent("idle", owner=owner)], [])
    return bool(copies.chosen(board, [a_slow_chunk()]))


@pytest.mark.parametrize("is_house", [False, True])
def test_nobody_copies_what_a_machine_of_his_own_has_in_hand(is_house: bool) -> None:
    """He would hold a chunk up for it, and is paid for one of the two. Controls: another owner; the house, which may lend."""
    held = replace(a_slow_agent(), owner="mallory", house=is_house)
    for owner, is_copied in (("mallory", is_house), ("bob", True)):
        assert copied(held, owner) is is_copied


@pytest.mark.parametrize(
    ("holds", "idles", "is_copied"), [("ada", "bob", False), ("bob", "ada", False), ("bob", "carl", True), ("ada", "ada", True)]
)
def test_no_copy_has_the_renter_for_one_of_two_lenders_and_his_own_machines_may_hurry_for_him(
    holds: str, idles: str, is_copied: bool
) -> None:
    """The farm pays him nothing for what comes second, and somebody else would work twice for it."""
    assert copied(replace(a_slow_agent(), owner=holds), idles, account="ada") is is_copied


@pytest.mark.parametrize(("owner", "house"), [("ada", False), ("bob", True)])
def test_a_renters_machine_hurries_for_the_houses_and_anybodys_for_one_that_brings_nothing(owner: str, house: bool) -> None:
    """Ada rents. Control: while the machine that holds it brings frames, bob does not copy what another one of his has."""
    held, idle = replace(a_slow_agent(), owner=owner, house=house), "ada" if house else "bob"
    assert copied(held, idle, account="ada") is house
    assert copied(held, idle, seconds=4_000, account="ada")


def test_an_agent_that_is_a_little_late_is_left_alone_and_one_that_is_very_late_is_not() -> None:
    """Eight frames of one WU were planned for eight seconds; nothing has come."""
    board_at = {seconds: Board(later(seconds), POLICY, IMAGE, {"job": an_ending_job()}, [], []) for seconds in (90, 105)}
    late = claimed(a_chunk(8, version=1), a_holder(agent="quick"))
    for seconds, is_copied in ((90, False), (105, True)):
        board_at[seconds].fleet = [an_agent("quick", hands=(a_hand(),)), an_agent("idle")]
        assert bool(copies.chosen(board_at[seconds], [late])) is is_copied


def test_where_copies_are_switched_off_there_are_none() -> None:
    none = replace(POLICY, copy_percent=0)
    board = Board(later(30), none, IMAGE, {"job": an_ending_job()}, [a_slow_agent(), an_agent("i")], [])
    assert copies.chosen(board, [a_slow_chunk()]) == []


def test_one_copy_at_a_time_and_two_in_all() -> None:
    copy = claimed(a_chunk(4, "chunk-c1", copy_of="chunk"), a_holder("second", "else"))
    assert chosen([a_slow_chunk(), copy], an_agent("idle")) == []
    assert chosen([replace(a_slow_chunk(), copies=copies.MOST)], an_agent("idle")) == []


def test_copies_of_a_job_are_worth_a_twentieth_of_it_or_one_chunk() -> None:
    large = an_ending_job(8_000)
    assert len(chosen([a_slow_chunk()], an_agent("idle"), job=large, spent=396 * WU)) == 1
    assert chosen([a_slow_chunk()], an_agent("idle"), job=large, spent=397 * WU) == []
    assert len(chosen([a_slow_chunk()], an_agent("idle"))) == 1, "the first one always"
    assert chosen([a_slow_chunk()], an_agent("idle"), spent=1) == []


# --- what becomes of them


def test_a_copy_that_is_given_up_or_put_back_is_closed_and_its_original_queued() -> None:
    for copy_of, state in (("chunk", ChunkState.CLOSED), ("", ChunkState.QUEUED)):
        held = claimed(a_chunk(copy_of=copy_of), a_holder())
        assert chunks.gave_up(held, "first", Ending.LOST, NOW).state is state
        assert chunks.put_back(held, "paused", NOW)[0].state is state


@pytest_asyncio.fixture
async def office() -> Office:
    """Slow has all eight frames; idle has just got a copy of the last four."""
    it = Office()
    await it.jobs.store.add("job", an_ending_job())
    await it.agents.store.add("slow", replace(a_slow_agent(), hands=()))
    await it.chunks.store.add("chunk", a_chunk(8, version=1))
    await it.sweep()
    await it.agents.store.add("idle", an_agent("idle"))
    it.clock.pass_by(5)
    await it.sweep()
    return it


def grant(office: Office, agent: str) -> Grant:
    return next(one.grant for one in office.told if isinstance(one, ChunkAssigned) and one.grant.agent == agent)


def cancelled(office: Office) -> list[str]:
    return [one.agent for one in office.told if isinstance(one, AttemptCancelled)]


async def store(office: Office, agent: str, *stored: int) -> None:
    by = grant(office, agent)
    kept = tuple(
        StoredFrame(frame=frame, file_sha256="c" * 64, pixel_sha256="d" * 64, bytes=1, cpu_micros=WU, key="k") for frame in stored
    )
    await office.hear(
        FramesStored(
            job="job", chunk=by.chunk, attempt=by.attempt, agent=agent, kind=by.kind, generation=0, version=1, frames=kept
        )
    )  # fmt: skip


async def test_the_loser_is_stopped_as_soon_as_nothing_is_missing_and_its_frames_are_honoured(office: Office) -> None:
    await store(office, "idle", 5, 6, 7, 8)
    assert cancelled(office) == []
    await store(office, "slow", 1, 2, 3)
    await office.hear(
        FramesSuperfluous(
            job="job", chunk="chunk", attempt=grant(office, "slow").attempt, agent="slow", version=1, frames=(5,)
        )
    )  # fmt: skip
    (paid,) = [one for one in office.told if isinstance(one, CopiesHonoured)]
    assert (paid.agent, paid.frames) == ("slow", (5,))
    await store(office, "slow", 4)
    assert {chunk.state for chunk in office.all_chunks()} == {ChunkState.COMPLETED}
    assert [one.job for one in office.told if isinstance(one, JobRendered)] == ["job"]
    assert not any(agent.interruptions for agent in office.all_agents()), "nobody is punished"


async def another_slow_one(office: Office) -> list[str]:
    """And two who are idle: one for what the pause has put back. Returns the copies there are then."""
    await office.chunks.store.add("other", claimed(a_chunk(8, "other", version=1), a_holder("third", "slower")))
    hand = a_hand("third", "other", heard=True)
    await office.agents.store.add("slower", an_agent("slower", micro_wu_per_minute=SLOW, hands=(hand,)))
    for name in ("idler", "idlest"):
        await office.agents.store.add(name, an_agent(name))
    await office.sweep()
    return [chunk.chunk for chunk in office.all_chunks() if chunk.copy_of]


@pytest.mark.parametrize("forgets", [False, True])
async def test_what_copies_cost_outlives_a_pause_and_the_process(office: Office, forgets: bool) -> None:
    """Control: where it is forgotten, the job gets one copy more."""
    assert office.job().copied_micro_wu == 4 * WU
    for action, revision in ((Action.PAUSE, 1), (Action.RESUME, 2)):
        await office.hear(JobControlled(job="job", account="ada", action=action, revision=revision, by="ada"))
        await office.sweep()
    office.begin(POLICY)
    if forgets:
        await office.jobs.update("job", lambda job, _: (replace(job, copied_micro_wu=0), []))
    copies_there = await another_slow_one(office)
    assert ("other-c1" in copies_there) is forgets


@pytest.mark.parametrize(("spent", "is_made"), [(0, True), (WU, False)])
async def test_two_processes_together_copy_no_more_than_one_may(spent: int, is_made: bool) -> None:
    """This one's picture of the job is from before the other made its copy."""
    office, job, slow = Office(), an_ending_job(), a_slow_agent()
    await office.jobs.store.add("job", replace(job, copied_micro_wu=spent))
    await office.chunks.store.add("chunk", a_slow_chunk())
    for agent in (slow, an_agent("idle")):
        await office.agents.store.add(agent.agent, agent)
    board = Board(later(30), POLICY, IMAGE, {"job": job}, [slow, an_agent("idle")], [])
    given = await Copying(office.jobs, office.chunks, office.agents).copy(board)
    assert bool(given) is is_made
    assert {chunk.chunk: chunk.copies for chunk in office.all_chunks()}["chunk"] == int(is_made)
    assert office.job().copied_micro_wu == (4 * WU if is_made else spent)
    assert [bool(agent.hands) for agent in office.all_agents() if agent.agent == "idle"] == [is_made], "its slot is free again"


async def test_a_copy_that_another_process_made_first_is_not_charged_for() -> None:
    lost = iter([False, False, True])
    office = Office(loses=lambda: next(lost, False))
    slow = a_slow_agent()
    await office.jobs.store.add("job", an_ending_job())
    await office.chunks.store.add("chunk", a_slow_chunk())
    for agent in (slow, an_agent("idle")):
        await office.agents.store.add(agent.agent, agent)
    board = Board(later(30), POLICY, IMAGE, {"job": office.job()}, [slow, an_agent("idle")], [])
    assert await Copying(office.jobs, office.chunks, office.agents).copy(board) == []
    assert office.job().copied_micro_wu == 0


async def test_a_holder_who_is_faster_after_all_stops_the_copy(office: Office) -> None:
    await store(office, "idle", 5)
    await store(office, "slow", 1, 2, 3, 4, 6, 7, 8)
    assert cancelled(office) == ["idle"]
    assert office.job().state is JobState.PACKAGING


async def test_the_slow_one_is_stopped_when_the_copies_have_the_rest(office: Office) -> None:
    await store(office, "slow", 1, 2, 3, 4)
    await store(office, "idle", 5, 6, 7, 8)
    assert cancelled(office) == ["slow"]
    assert office.job().state is JobState.PACKAGING


async def test_progress_counts_a_frame_of_two_chunks_once(office: Office) -> None:
    await store(office, "idle", 5, 6)
    assert (await office.chunks.tally("job")).stored == 2


async def test_a_crash_between_the_two_costs_work_and_no_frame(office: Office) -> None:
    """The original is not told of its copy's frames: it hears of them when its own pictures come second."""
    by = grant(office, "idle")
    await office.chunks.update("chunk-c1", lambda chunk, now: brought(chunk, by.attempt, "idle", [5, 6, 7, 8], now))
    await store(office, "slow", 1, 2, 3, 4)
    assert office.job().state is JobState.RENDERING
    said = FramesSuperfluous(
        job="job", chunk="chunk", attempt=grant(office, "slow").attempt, agent="slow", version=1, frames=(5, 6, 7, 8)
    )  # fmt: skip
    await office.hear(said)
    assert office.job().state is JobState.PACKAGING
