"""Frames that lie in the store are not rendered again for want of patience: when their agent goes, and when storage is late."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Fault
from contracts.values import FrameRange, Ranges, frames, ranges
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import tries
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.states import ChunkState
from services.scheduler.domain.verification import Storage, Verification, agreed
from tests.unit.scheduler.builders import NOW, POLICY, a_chunk, a_holder, later


def a_left_chunk(*delivered: int) -> Chunk:
    """Of frames 1 to 4; its holder has given it back."""
    return chunks.left(chunks.claimed(a_chunk(), a_holder("first", "ann")), "first", Ending.GIVEN_BACK, ranges(delivered), NOW)


def test_a_chunk_that_is_given_back_waits_for_the_frames_that_lie_in_the_store() -> None:
    chunk = a_left_chunk(1, 2)
    assert chunk.state is ChunkState.RENDERING
    chunk, _ = chunks.brought(chunk, "first", "ann", [1], NOW)
    assert chunk.state is ChunkState.RENDERING
    chunk, _ = chunks.brought(chunk, "first", "ann", [2], NOW)
    assert (chunk.state, chunk.holder) == (ChunkState.QUEUED, None)
    assert list(frames(chunks.missing(chunk))) == [3, 4]
    assert [past.why for past in chunk.former] == [Ending.GIVEN_BACK]


def test_without_the_word_of_what_was_delivered_those_frames_are_given_out_again() -> None:
    """What the field is for: this is what happened before there was one."""
    chunk = a_left_chunk()
    assert chunk.state is ChunkState.QUEUED
    assert list(frames(chunks.missing(chunk))) == [1, 2, 3, 4]


def test_a_chunk_whose_frames_were_all_delivered_is_completed_by_them() -> None:
    chunk, _ = chunks.brought(a_left_chunk(1, 2, 3, 4), "first", "ann", [1, 2, 3, 4], NOW)
    assert chunk.state is ChunkState.COMPLETED


@pytest.mark.parametrize("delivered", [(7, 8), ()])
def test_delivered_frames_that_are_not_missing_hold_nothing_up(delivered: tuple[int, ...]) -> None:
    assert a_left_chunk(*delivered).state is ChunkState.QUEUED


def test_ranges_that_an_agent_makes_up_are_never_unrolled() -> None:
    endless: Ranges = tuple(FrameRange(first=at, last=1_000_000) for at in range(1_000))
    chunk = chunks.left(chunks.claimed(a_chunk(), a_holder("first", "ann")), "first", Ending.GIVEN_BACK, endless, NOW)
    assert chunk.holder is not None
    assert list(frames(chunk.holder.awaited)) == [1, 2, 3, 4]


def test_a_failure_counts_no_try_against_frames_that_were_delivered() -> None:
    chunk = chunks.claimed(a_chunk(), a_holder("first", "ann"))
    chunk, _ = tries.failed(chunk, "first", Fault.MACHINE, None, False, NOW, POLICY, ranges([1, 2]))
    assert [one.frame for one in chunk.tries] == [3, 4]
    assert chunk.state is ChunkState.RENDERING, "it waits for storage's word on them"


@given(order=st.permutations([1, 2, 3, 4]), delivered=st.sets(st.integers(1, 4)))
def test_whatever_comes_in_which_order_the_rest_is_given_out_once_and_only_then(order: list[int], delivered: set[int]) -> None:
    chunk, stored = a_left_chunk(*delivered), set[int]()
    for frame in order:
        waits = bool(delivered - stored)
        assert (chunk.state is ChunkState.RENDERING) == waits or chunk.state is ChunkState.COMPLETED
        stored.add(frame)
        chunk, _ = chunks.brought(chunk, "first", "ann", [frame], NOW)
    assert chunk.state is ChunkState.COMPLETED


# --- storage late


def overdue(verification: Verification, done: int, at: int) -> bool:
    return verification.is_overdue(later(done), later(at), POLICY)


def test_a_storage_at_work_is_waited_for_a_moment() -> None:
    verification = Verification()
    for second in range(0, 120, 5):
        verification.heard(later(second), POLICY)
    assert not overdue(verification, 100, 115)
    assert overdue(verification, 100, 116)


def test_while_storage_says_nothing_nobody_is_late_but_not_for_ever() -> None:
    verification = Verification()
    verification.heard(later(99), POLICY)
    assert not overdue(verification, 100, 100 + POLICY.settle_silent)
    assert overdue(verification, 100, 101 + POLICY.settle_silent)


def test_the_first_word_after_a_silence_begins_the_moment_anew() -> None:
    verification = Verification()
    verification.heard(later(0), POLICY)
    verification.heard(later(160), POLICY)
    assert not overdue(verification, 100, 175)
    verification.heard(later(172), POLICY)
    assert overdue(verification, 100, 176)


def test_a_storage_that_was_never_heard_has_perhaps_never_looked() -> None:
    assert not Verification().is_overdue(NOW, NOW + timedelta(seconds=60), POLICY)


# --- what several processes have heard


SPELLS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda two: Storage(later(max(two)), later(min(two))))
HEARD = st.one_of(st.just(Storage()), SPELLS)


@given(one=HEARD, other=HEARD)
def test_processes_agree_whichever_is_asked_first_and_once_is_enough(one: Storage, other: Storage) -> None:
    both = agreed(one, other, POLICY)
    assert both == agreed(other, one, POLICY)
    assert agreed(both, one, POLICY) == both


@given(words=st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=30))
def test_two_who_hear_every_other_word_know_as_much_as_one_who_hears_all(words: list[tuple[int, bool]]) -> None:
    """As long as they agree after every word."""
    alone, pair, shared = Verification(), (Verification(), Verification()), Storage()
    for second, which in sorted(words):
        alone.heard(later(second), POLICY)
        pair[which].heard(later(second), POLICY)
        shared = agreed(shared, pair[which].storage, POLICY)
        for one in pair:
            one.agree(shared, POLICY)
    assert pair[0].storage == pair[1].storage == alone.storage
