"""A chunk and its attempts: who holds it, what counts, what is tried again."""

from typing import Any

import pytest

from contracts.events import AttemptCancelled, AttemptVoid, CopiesHonoured, Fault
from contracts.values import Kind, frames
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import copies, tries
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.states import ChunkState, IllegalMove
from tests.unit.scheduler.builders import NOW, POLICY, a_chunk, a_holder, later, span


def a_held_chunk(attempt: str = "first", agent: str = "ann", **changes: Any) -> Chunk:
    return chunks.claimed(a_chunk(**changes), a_holder(attempt, agent))


def test_a_chunk_is_claimed_once() -> None:
    with pytest.raises(IllegalMove, match="assigned"):
        chunks.claimed(a_held_chunk(), a_holder("second", "bob"))


def test_frames_count_once_and_the_last_one_completes_the_chunk() -> None:
    chunk, _ = chunks.brought(a_held_chunk(), "first", "ann", [1, 2, 2], NOW)
    assert (chunk.state, chunk.stored) == (ChunkState.RENDERING, 2)
    chunk, _ = chunks.brought(chunk, "first", "ann", [2, 3, 4, 99], NOW)
    assert (chunk.state, chunk.stored, chunk.holder) == (ChunkState.COMPLETED, 4, None)
    assert [past.why for past in chunk.former] == [Ending.FINISHED]
    assert chunks.brought(chunk, "first", "ann", [4], NOW) == (chunk, [])


def test_what_an_attempt_leaves_undone_is_queued_again() -> None:
    chunk, _ = chunks.brought(a_held_chunk(), "first", "ann", [1, 2], NOW)
    chunk = chunks.gave_up(chunk, "first", Ending.LOST, later(60))
    assert (chunk.state, chunk.holder, chunk.opened_at) == (ChunkState.QUEUED, None, later(60))
    assert list(frames(chunks.missing(chunk))) == [3, 4]
    assert chunk.tries == (), "an interruption is no try"


def test_only_the_holder_can_give_up() -> None:
    chunk = a_held_chunk()
    assert chunks.gave_up(chunk, "another", Ending.LOST, NOW) is chunk


def test_late_frames_of_a_void_attempt_are_welcome_and_stop_the_one_that_has_become_needless() -> None:
    chunk = chunks.gave_up(a_held_chunk(), "first", Ending.LOST, NOW)
    chunk = chunks.claimed(chunk, a_holder("second", "bob"))
    chunk, events = chunks.brought(chunk, "first", "ann", [1, 2, 3], NOW)
    assert (chunk.holder is not None, events) == (True, [])
    chunk, (stop,) = chunks.brought(chunk, "first", "ann", [4], NOW)
    assert chunk.state is ChunkState.COMPLETED
    assert isinstance(stop, AttemptCancelled)
    assert (stop.agent, stop.attempt) == ("bob", "second")
    assert chunk.former[-1].why is Ending.NOT_NEEDED


def test_frames_complete_a_chunk_that_nobody_holds() -> None:
    chunk = chunks.gave_up(a_held_chunk(), "first", Ending.LOST, NOW)
    chunk, events = chunks.brought(chunk, "first", "ann", [1, 2, 3, 4], NOW)
    assert (chunk.state, events) == (ChunkState.COMPLETED, [])


def test_frames_of_a_closed_chunk_change_nothing() -> None:
    chunk, (stop,) = chunks.closed(a_held_chunk(), "cancelled", NOW)
    assert isinstance(stop, AttemptCancelled)
    assert chunks.brought(chunk, "first", "ann", [1], NOW) == (chunk, [])
    assert chunks.closed(chunk, "cancelled", NOW) == (chunk, [])


def test_a_paused_job_puts_its_chunk_back_with_what_is_stored() -> None:
    chunk, _ = chunks.brought(a_held_chunk(), "first", "ann", [1], NOW)
    chunk, (stop,) = chunks.put_back(chunk, "paused", NOW)
    assert isinstance(stop, AttemptCancelled)
    assert (chunk.state, chunk.stored) == (ChunkState.QUEUED, 1)


def test_an_agent_that_has_said_it_is_done_is_not_told_to_stop() -> None:
    chunk = chunks.said_done(a_held_chunk(), "first", NOW)
    assert chunks.closed(chunk, "cancelled", NOW)[1] == []


def test_the_hard_end_ends_what_is_under_way_and_leaves_what_is_done_to_its_timer() -> None:
    end = a_holder().hard_end
    done = chunks.said_done(a_held_chunk(), "first", NOW)
    assert tries.timed_out(done, "first", end) == (done, [])
    chunk, (void,) = tries.timed_out(a_held_chunk(), "first", end)
    assert isinstance(void, AttemptVoid)
    assert (chunk.state, chunk.former[0].why) == (ChunkState.QUEUED, Ending.LOST)


def test_each_stored_frame_of_the_holder_earns_the_time_for_another_one_up_to_the_last_end() -> None:
    chunk = chunks.claimed(a_chunk(), a_holder(hard_end=later(240), last_end=later(600), patience=240))
    assert tries.timed_out(chunk, "first", later(239)) == (chunk, [])
    _, (void,) = tries.timed_out(chunk, "first", later(240))
    assert isinstance(void, AttemptVoid)
    assert "no frame" in void.reason
    chunk, _ = chunks.brought(chunk, "first", "ann", [1], later(200))
    assert tries.timed_out(chunk, "first", later(439)) == (chunk, [])
    strange, _ = chunks.brought(chunk, "former", "bob", [2], later(400))
    assert tries.timed_out(strange, "first", later(440))[1], "what others bring is not its own"
    again, _ = chunks.brought(chunk, "first", "ann", [1], later(400))
    assert tries.timed_out(again, "first", later(440))[1], "nor is the same frame twice"
    chunk, _ = chunks.brought(chunk, "first", "ann", [2], later(430))
    assert tries.timed_out(chunk, "first", later(599)) == (chunk, [])
    assert tries.timed_out(chunk, "first", later(600))[1]


def test_a_frame_that_another_attempt_stored_first_shows_that_its_holder_works() -> None:
    chunk = chunks.claimed(a_chunk(), a_holder(hard_end=later(240), last_end=later(600), patience=240))
    chunk, _ = copies.superfluous(chunk, "first", "ann", 1, [1], later(200))
    assert tries.timed_out(chunk, "first", later(439)) == (chunk, [])
    again, _ = copies.superfluous(chunk, "first", "ann", 1, [1], later(400))
    assert tries.timed_out(again, "first", later(440))[1], "once"


def test_a_void_attempt_is_told_which_of_its_frames_counted() -> None:
    chunk, _ = chunks.brought(a_held_chunk(), "first", "ann", [1, 3], NOW)
    chunk, (void,) = chunks.voided(chunk, "first", "hard end", NOW)
    assert isinstance(void, AttemptVoid)
    assert list(frames(void.stored)) == [1, 3]
    assert chunk.state is ChunkState.QUEUED


# --- superfluous frames


def test_frames_known_to_be_stored_elsewhere_are_not_waited_for() -> None:
    """A sample's late frame is stored under its own chunk while a render chunk waits for the same frame."""
    chunk = a_held_chunk(last=1)
    chunk, _ = copies.superfluous(chunk, "first", "ann", 1, [1], NOW)
    assert (chunk.state, chunk.stored) == (ChunkState.COMPLETED, 1)


def test_copies_under_a_good_lease_are_honoured_once() -> None:
    chunk = a_held_chunk()
    chunk, (paid,) = copies.superfluous(chunk, "first", "ann", 1, [1, 2, 77], NOW)
    assert isinstance(paid, CopiesHonoured)
    assert (paid.attempt, paid.frames) == ("first", (1, 2))
    assert copies.superfluous(chunk, "first", "ann", 1, [1, 2], NOW)[1] == []


@pytest.mark.parametrize(
    ("why", "honoured"), [(Ending.FINISHED, True), (Ending.NOT_NEEDED, True), (Ending.INCOMPLETE, True), (Ending.LOST, False)]
)
def test_copies_of_a_former_attempt_are_honoured_if_its_lease_was_good_to_its_end(why: Ending, honoured: bool) -> None:
    chunk = chunks.gave_up(a_held_chunk(), "first", why, NOW)
    assert bool(copies.superfluous(chunk, "first", "ann", 1, [1], NOW)[1]) is honoured


def test_copies_of_somebody_elses_attempt_are_not_honoured() -> None:
    assert copies.superfluous(a_held_chunk(), "first", "eve", 1, [1], NOW)[1] == []


def test_a_frame_told_as_elsewhere_first_still_counts_for_the_one_who_brought_it() -> None:
    chunk, _ = copies.superfluous(a_held_chunk(last=2), "first", "ann", 1, [1], NOW)
    chunk, _ = chunks.brought(chunk, "second", "bob", [1], NOW)
    assert [(one.agent, list(frames(one.frames))) for one in chunk.deliveries] == [("bob", [1])]
    assert (chunk.elsewhere, chunk.stored) == ((), 1)


# --- tries


def failed(
    chunk: Chunk, attempt: str, agent: str, fault: Fault, frame: int | None = 1, house: bool = False
) -> tuple[Chunk, bool]:
    return tries.failed(chunks.claimed(chunk, a_holder(attempt, agent)), attempt, fault, frame, house, NOW, POLICY)


def test_three_tries_the_last_on_the_house_agent() -> None:
    chunk, final = failed(a_chunk(), "a", "ann", Fault.MACHINE)
    assert (chunk.house, final) == (False, False)
    chunk, final = failed(chunk, "b", "bob", Fault.MACHINE)
    assert (chunk.house, final) == (True, False)
    chunk, final = failed(chunk, "c", "house", Fault.MACHINE, house=True)
    assert final


def test_lenders_alone_cannot_end_a_job() -> None:
    chunk = a_chunk()
    for attempt in "abcdef":
        chunk, final = failed(chunk, attempt, "eve", Fault.SCENE)
        assert not final


def test_a_scene_fault_on_the_house_agent_is_final_at_once() -> None:
    assert failed(a_chunk(), "a", "house", Fault.SCENE, house=True)[1]
    assert not failed(a_chunk(), "a", "house", Fault.MACHINE, house=True)[1]


def test_tries_are_counted_per_frame() -> None:
    chunk, _ = failed(a_chunk(), "a", "ann", Fault.MACHINE, frame=1)
    chunk, _ = failed(chunk, "b", "bob", Fault.MACHINE, frame=2)
    assert not chunk.house
    chunk, _ = failed(chunk, "c", "ann", Fault.MACHINE, frame=None)
    assert chunk.house, "a failure that names no frame counts for all that are missing"


def test_an_inspection_that_fails_counts_for_the_chunk_as_a_whole() -> None:
    chunk = a_chunk(kind=Kind.INSPECT, frames=(), house=True)
    for attempt, expected in (("a", False), ("b", False), ("c", True)):
        chunk, final = failed(chunk, attempt, "house", Fault.MACHINE, frame=None, house=True)
        assert final is expected


def test_running_out_of_memory_asks_for_twice_as_much_next_time() -> None:
    assert failed(a_chunk(), "a", "ann", Fault.MEMORY)[0].memory_factor == 2


def test_a_failure_of_a_former_attempt_changes_nothing() -> None:
    chunk = a_held_chunk("second", "bob")
    assert tries.failed(chunk, "first", Fault.SCENE, 1, True, NOW, POLICY) == (chunk, False)


def test_a_rejected_picture_is_one_try_per_attempt_however_often_it_comes() -> None:
    chunk = a_held_chunk()
    for _ in range(5):
        chunk, final = tries.rejected(chunk, "first", "eve", [1], False, NOW, POLICY)
        assert not final
    assert [one.count for one in chunk.tries] == [1]
    assert chunk.holder is not None, "the attempt may still bring the right one"


def test_a_rejection_after_the_frame_is_stored_changes_nothing() -> None:
    chunk, _ = chunks.brought(a_held_chunk(), "first", "ann", [1], NOW)
    assert tries.rejected(chunk, "first", "ann", [1], False, NOW, POLICY) == (chunk, False)


def test_a_sample_over_its_budget_is_given_up_for_good() -> None:
    chunk = chunks.abandoned(a_held_chunk(kind=Kind.SAMPLE, frames=span(1, 1)), "first", NOW)
    assert (chunk.state, chunk.holder) == (ChunkState.CLOSED, None)
