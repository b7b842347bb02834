"""What is learned of a job's need for memory: only downwards, never from one lender's word alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import ChunkFailed, Event, Fault, FramesStored, JobStateChanged, Resources, ResourcesSampled, StoredFrame
from contracts.values import Hardware, Kind
from services.scheduler.domain import memory
from services.scheduler.domain.chunk import Chunk, Ending, Former
from services.scheduler.domain.job import Job
from services.scheduler.domain.memory import MARGIN_PERCENT, MOST_OWNERS, Lack
from services.scheduler.domain.picture import LEAST_MEMORY
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import GIB, NOW, a_chunk, a_hand, a_holder, a_job, a_sampled_job, an_agent
from tests.unit.scheduler.office import Office

GUESS = 8 * GIB


def a_guessed_job() -> Job:
    return replace(a_job(), memory_bytes=GUESS)


def lacking(job: Job, *owners: str, chunk: str = "chunk", house: bool = False, largest: int = 64 * GIB) -> Job:
    """They ran out one after the other, on machines that have as much as any."""
    for owner in owners:
        job, _ = memory.ran_out(job, Lack(owner, house, chunk, 64 * GIB), largest)
    return job


def finished(attempt: str) -> Chunk:
    return a_chunk(state=ChunkState.COMPLETED, former=(Former(attempt, "house", NOW, Ending.FINISHED),))


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
    job = lacking(memory.noted(a_guessed_job(), "operator", True, GIB), "bob")
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


# --- the guess itself


def test_two_owners_double_the_guess_once_and_one_owner_never() -> None:
    assert lacking(a_guessed_job(), *["eve"] * 12).memory_bytes == GUESS
    job = lacking(a_guessed_job(), *["eve", "mal"] * 6)
    assert job.memory_bytes == 2 * GUESS
    assert memory.is_to_be_tried(job, "chunk")


def test_nobody_is_heard_before_the_house_has_tried_and_those_two_not_after_it() -> None:
    job = lacking(lacking(a_guessed_job(), "eve", "mal"), "bob", "cid")
    assert job.memory_bytes == 2 * GUESS
    job = memory.tried(memory.houses(job, "chunk", "houses", 2 * GUESS), finished("houses"))
    assert (job.raised, job.memory_bytes) == (None, 2 * GUESS)
    assert lacking(job, *["eve", "mal"] * 6).memory_bytes == 2 * GUESS
    assert lacking(job, "bob", "cid").memory_bytes == 4 * GUESS, "control: two others are"


def test_a_chunk_that_the_house_renders_within_the_old_guess_restores_it() -> None:
    job = memory.houses(lacking(a_guessed_job(), "eve", "mal"), "chunk", "houses", GUESS)
    assert memory.tried(job, finished("another")) == job, "not by an attempt that was given up"
    job = memory.tried(job, finished("houses"))
    assert (job.memory_bytes, job.raised) == (GUESS, None)
    assert lacking(job, *["eve", "mal"] * 6).memory_bytes == GUESS


def test_the_houses_own_lack_of_memory_raises_the_guess_by_itself() -> None:
    assert lacking(a_guessed_job(), "operator", "operator", house=True).memory_bytes == 4 * GUESS


def test_a_machine_that_has_less_than_the_guess_says_nothing_about_it() -> None:
    job, _ = memory.ran_out(lacking(a_guessed_job(), "eve"), Lack("mal", False, "chunk", GUESS - 1), 64 * GIB)
    assert job.memory_bytes == GUESS


def test_the_guess_is_never_above_the_largest_machine_and_the_renter_reads_why() -> None:
    job = lacking(replace(a_guessed_job(), state=JobState.RENDERING), "eve", largest=12 * GIB)
    job, (told,) = memory.ran_out(job, Lack("mal", False, "chunk", 12 * GIB), 12 * GIB)
    assert job.memory_bytes == 12 * GIB
    assert isinstance(told, JobStateChanged)
    assert "12.0 GiB" in told.reason
    assert told.revision > 0
    assert memory.ran_out(replace(job, raised=None), Lack("operator", True, "chunk", 12 * GIB), 12 * GIB)[1] == [], "said once"


async def an_office(peak: int, *said: str) -> Office:
    """Two owners' machines say they lack memory; then the house renders the chunk and this is `said` of it."""
    office = Office()
    await office.jobs.update_or_add(
        "job", lambda *_: (a_sampled_job(4, uncut=(), state=JobState.RENDERING, memory_bytes=GUESS), [])
    )
    for agent in ("eve", "mal", "house"):
        has = Hardware(cores=1, memory_bytes=32 * GIB)
        hands = (a_hand(f"by-{agent}"),)
        await office.agents.add(an_agent(agent, house=agent == "house", hardware=has, hands=hands), ())
    await office.chunks.store.add("chunk", a_chunk(4), ())
    for agent in ("eve", "mal"):
        await held(office, agent)
        await office.hear(ChunkFailed(job="job", chunk="chunk", attempt=f"by-{agent}", fault=Fault.MEMORY), agent)
    assert office.job().memory_bytes == 2 * GUESS
    assert office.all_chunks()[0].house
    await held(office, "house")
    for word in said:
        await office.hear(*houses_word(word, peak))
    return office


async def held(office: Office, agent: str) -> None:
    holder = a_holder(f"by-{agent}", agent)
    await office.chunks.update("chunk", lambda chunk, _: (replace(chunk, state=ChunkState.RENDERING, holder=holder), []))


def houses_word(word: str, peak: int) -> tuple[Event, str]:
    ids = {"job": "job", "chunk": "chunk", "attempt": "by-house"}
    if word == "peak":
        return ResourcesSampled(**ids, resources=Resources(memory_peak_bytes=peak), last=True), "house"
    kept = tuple(
        StoredFrame(frame=at, file_sha256="c" * 64, pixel_sha256="d" * 64, bytes=1, cpu_micros=1, seconds=1.0, key=f"frames/{at}")
        for at in range(1, 5)
    )
    return FramesStored(**ids, agent="house", version=1, kind=Kind.RENDER, generation=0, frames=kept), "storage"


@pytest.mark.parametrize("order", [("peak", "stored"), ("stored", "peak")])
async def test_lenders_who_lie_about_memory_are_refuted_by_the_house(order: tuple[str, ...]) -> None:
    office = await an_office(GIB, *order)
    assert office.job().memory_bytes == GUESS
    assert (await an_office(GUESS + 1, *order)).job().memory_bytes == 2 * GUESS, "control: it needs more"
