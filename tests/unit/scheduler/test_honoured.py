"""Frames that came second: which of them the farm pays, and to whom."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.events import CopiesHonoured, FramesSuperfluous
from contracts.values import Kind
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import copies, tries
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.copies import LATE
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import NOW, a_chunk, a_holder, a_sampled_job, an_agent, later, span
from tests.unit.scheduler.office import Office

ALL = (1, 2, 3, 4)


def held(attempt: str, agent: str, chunk: Chunk | None = None, **changes: Any) -> Chunk:
    return chunks.claimed(chunk or a_chunk(version=1), a_holder(attempt, agent, **changes))


def left(chunk: Chunk, why: Ending) -> Chunk:
    """By its holder."""
    assert chunk.holder is not None
    return chunks.gave_up(chunk, chunk.holder.attempt, why, NOW)


def brought(chunk: Chunk, attempt: str, agent: str, *stored: int) -> Chunk:
    return chunks.brought(chunk, attempt, agent, stored or ALL, NOW)[0]


def paid(events: list[Any]) -> list[tuple[str, tuple[int, ...]]]:
    return [(one.attempt, one.frames) for one in events if isinstance(one, CopiesHonoured)]


# --- how often


def test_of_a_chunk_each_frame_is_honoured_once_however_many_attempts_of_it_are_paused_and_bring_it() -> None:
    chunk = a_chunk(version=1)
    for number in range(15):
        chunk, _ = chunks.put_back(held(f"paused-{number}", "ann", chunk), "paused", NOW)
    chunk = brought(held("last", "bob", chunk), "last", "bob")
    events: list[Any] = []
    for past in chunk.former:
        chunk, more = copies.superfluous(chunk, past.attempt, "ann", 1, ALL, NOW)
        events += more
    assert paid(events) == [("paused-0", ALL)]


def test_the_same_word_again_changes_nothing() -> None:
    chunk, _ = copies.superfluous(held("first", "ann"), "first", "ann", 1, [1, 2], NOW)
    for frames in ([1], [1, 2]):
        assert copies.superfluous(chunk, "first", "ann", 1, frames, later(9)) == (chunk, [])
    assert paid(copies.superfluous(chunk, "first", "ann", 1, [2, 3], NOW)[1]) == [("first", (3,))]


@pytest.mark.parametrize(("after", "is_paid"), [(LATE, True), (LATE + timedelta(seconds=1), False)])
def test_an_attempt_that_has_ended_is_honoured_for_an_hour(after: timedelta, is_paid: bool) -> None:
    chunk = brought(held("second", "bob", left(held("first", "ann"), Ending.NOT_NEEDED)), "second", "bob")
    assert bool(paid(copies.superfluous(chunk, "first", "ann", 1, ALL, NOW + after)[1])) is is_paid


def test_a_samples_copy_counts_and_is_not_honoured() -> None:
    """It is rendered before there is a version, and so a price, of the job."""
    first = left(held("first", "ann", a_chunk(kind=Kind.SAMPLE, frames=span(1, 1))), Ending.NOT_NEEDED)
    chunk, events = copies.superfluous(held("second", "bob", first), "second", "bob", 0, [1], NOW)
    assert (chunk.state, paid(events)) == (ChunkState.COMPLETED, [])


def test_an_agent_whose_copies_are_not_paid_works_all_the_same() -> None:
    chunk = held("second", "ann", left(held("first", "ann"), Ending.LOST), hard_end=later(240), last_end=later(600), patience=240)
    chunk, events = copies.superfluous(chunk, "second", "ann", 1, [1], later(200), own={1})
    assert paid(events) == []
    assert tries.timed_out(chunk, "second", later(439)) == (chunk, [])


# --- to whom


async def an_office(*there: Chunk, **owners: str) -> Office:
    """A job of `ada`; agents by their owners."""
    it = Office()
    await it.jobs.store.add("job", a_sampled_job(4, state=JobState.RENDERING, uncut=()))
    for agent, owner in owners.items():
        await it.agents.store.add(agent, an_agent(agent, owner=owner))
    for chunk in there:
        await it.chunks.store.add(chunk.chunk, chunk)
    return it


async def honoured(
    office: Office, attempt: str, agent: str, chunk: str = "chunk", frames: tuple[int, ...] = ALL
) -> list[tuple[str, tuple[int, ...]]]:
    """What is said when these frames have come second, as storage tells it: one by one."""
    for frame in frames:
        await office.hear(FramesSuperfluous(job="job", chunk=chunk, attempt=attempt, agent=agent, version=1, frames=(frame,)))
    return paid(office.told)


def each(attempt: str, *frames: int) -> list[tuple[str, tuple[int, ...]]]:
    return [(attempt, (frame,)) for frame in frames]


def said_done_and_not_stored(then: str) -> Chunk:
    """By one's first attempt; another agent has the chunk now."""
    return held("second", then, left(held("first", "one"), Ending.INCOMPLETE))


@pytest.mark.parametrize(("owner", "is_paid"), [("eve", True), ("ada", False)])
async def test_the_account_that_ordered_the_job_is_not_paid_for_its_copies(owner: str, is_paid: bool) -> None:
    chunk = brought(held("second", "bob", left(held("first", "mine"), Ending.NOT_NEEDED)), "second", "bob")
    office = await an_office(chunk, mine=owner, bob="bob")
    assert await honoured(office, "first", "mine") == (each("first", *ALL) if is_paid else [])


@pytest.mark.parametrize("is_on_its_way", [False, True])
@pytest.mark.parametrize(("owner", "is_paid"), [("bob", True), ("eve", False)])
async def test_who_brought_the_first_picture_is_not_paid_for_the_second(owner: str, is_paid: bool, is_on_its_way: bool) -> None:
    """By another agent of his; also where storage's word on the first picture comes after that on the second."""
    chunk = said_done_and_not_stored("other")
    chunk = chunk if is_on_its_way else brought(chunk, "second", "other")
    office = await an_office(chunk, one="eve", other=owner)
    assert await honoured(office, "first", "one") == (each("first", *ALL) if is_paid else [])


@pytest.mark.parametrize("second", ["original", "copy"])
@pytest.mark.parametrize(("owner", "is_paid"), [("bob", True), ("eve", False)])
async def test_a_copy_or_an_original_that_lost_the_race_is_paid_unless_both_are_of_one_owner(
    owner: str, is_paid: bool, second: str
) -> None:
    original = held("slow", "one", a_chunk(version=1, copies=1))
    copy = held("quick", "other", a_chunk(chunk="chunk-c1", version=1, frames=span(3, 4), copy_of="chunk"))
    if second == "original":
        copy = brought(copy, "quick", "other", 3, 4)
        original, _ = copies.elsewhere(original, [3, 4], "quick", NOW)
        original = brought(original, "slow", "one", 1, 2)
        attempt, agent, chunk = "slow", "one", "chunk"
    else:
        original = brought(original, "slow", "one")
        copy, _ = copies.elsewhere(copy, ALL, "slow", NOW)
        attempt, agent, chunk = "quick", "other", "chunk-c1"
    office = await an_office(original, copy, one="eve", other=owner)
    assert await honoured(office, attempt, agent, chunk, (3, 4)) == (each(attempt, 3, 4) if is_paid else [])


async def test_the_second_holder_is_paid_where_the_first_comes_back_late() -> None:
    chunk = brought(held("second", "bob", left(held("first", "ann"), Ending.LOST)), "first", "ann")
    office = await an_office(chunk, ann="ann", bob="bob")
    assert await honoured(office, "second", "bob") == each("second", *ALL)


async def test_the_first_holder_is_paid_where_he_was_stopped_and_the_second_was_faster() -> None:
    chunk = brought(held("second", "bob", left(held("first", "ann"), Ending.NOT_NEEDED)), "second", "bob")
    office = await an_office(chunk, ann="ann", bob="bob")
    assert await honoured(office, "first", "ann") == each("first", *ALL)
