"""What is learned of a job's need for memory: only downwards, never from one lender's word alone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain import memory
from services.scheduler.domain.job import Job
from services.scheduler.domain.memory import MARGIN_PERCENT, MOST_OWNERS
from services.scheduler.domain.picture import LEAST_MEMORY
from tests.unit.scheduler.builders import GIB, a_job

GUESS = 8 * GIB


def a_guessed_job() -> Job:
    return replace(a_job(), memory_bytes=GUESS)


def test_until_something_is_learned_the_guess_counts() -> None:
    assert memory.need(a_guessed_job()) == GUESS
    assert memory.need(a_guessed_job(), factor=2) == 2 * GUESS


def test_what_the_house_saw_counts_with_a_margin() -> None:
    job = memory.noted(a_guessed_job(), "operator", True, 2 * GIB)
    assert memory.need(job) == 2 * GIB * MARGIN_PERCENT // 100


def test_one_lender_alone_is_not_believed_and_two_machines_of_one_owner_are_one_lender() -> None:
    job = memory.noted(memory.noted(a_guessed_job(), "liar", False, 1), "liar", False, GIB)
    assert memory.need(job) == GUESS


def test_two_owners_are_believed_and_the_larger_peak_counts() -> None:
    job = memory.noted(memory.noted(a_guessed_job(), "ada", False, 3 * GIB), "bob", False, GIB)
    assert memory.need(job) == 3 * GIB * MARGIN_PERCENT // 100


def test_an_attempt_that_ran_out_of_memory_ends_learning() -> None:
    job = memory.ran_out(memory.noted(a_guessed_job(), "operator", True, GIB), "bob")
    assert memory.need(job) == GUESS
    assert memory.need(memory.noted(job, "operator", True, GIB)) == GUESS


def test_a_chunk_that_ran_out_gets_twice_the_guess_whatever_was_learned() -> None:
    assert memory.need(memory.noted(a_guessed_job(), "operator", True, GIB), factor=2) == 2 * GUESS


@given(
    said=st.lists(
        st.tuples(st.sampled_from([f"owner-{n}" for n in range(12)]), st.booleans(), st.integers(0, 1 << 44)), max_size=40
    )
)
def test_nobody_raises_a_need_or_takes_it_below_the_floor_and_the_document_stays_small(said: list[tuple[str, bool, int]]) -> None:
    job = a_guessed_job()
    for owner, house, peak in said:
        job = memory.noted(job, owner, house, peak)
        assert LEAST_MEMORY <= memory.need(job) <= GUESS
    assert len(job.memory_peaks) <= MOST_OWNERS


@given(order=st.permutations([("ada", False, 3 * GIB), ("bob", False, GIB), ("operator", True, 2 * GIB), ("ada", False, GIB)]))
def test_peaks_in_any_order_teach_the_same(order: list[tuple[str, bool, int]]) -> None:
    job = a_guessed_job()
    for owner, house, peak in order:
        job = memory.noted(job, owner, house, peak)
    assert memory.need(job) == 3 * GIB * MARGIN_PERCENT // 100
