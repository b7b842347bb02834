"""What nobody may take hides nobody's work, however much of it waits and however long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import ChunkAssigned
from contracts.values import Audience, Kind
from services.scheduler.domain.paging import IN_TURN, JOBS, page
from services.scheduler.domain.states import JobState
from services.scheduler.waiting import LEAST, MOST
from tests.unit.scheduler.builders import a_chunk, a_job, a_sampled_job, a_submission, an_agent, later
from tests.unit.scheduler.office import Office


async def given_out(office: Office, *agents: str, looks: int = 1) -> list[str]:
    """Chunks, with these agents heard before each look."""
    for _ in range(looks):
        office.clock.pass_by(30)
        await office.agents.note_heard(dict.fromkeys(agents, office.clock.at))
        await office.desk.dispatch.look()
    return [one.grant.chunk for one in office.told if isinstance(one, ChunkAssigned)]


async def a_crowd(office: Office, jobs: int, each: int) -> None:
    """Chunks for their renters' own machines, of which there is none."""
    for job in (f"crowd-{at:04d}" for at in range(jobs)):
        asked = a_submission(job=job, account="mallory", allows=(Audience.OWN,))
        await office.jobs.store.add(
            job, a_sampled_job(job=job, account="mallory", asked=asked, state=JobState.RENDERING, uncut=())
        )
        for at in range(each):
            await office.chunks.store.add(f"{job}-{at}", a_chunk(chunk=f"{job}-{at}", job=job, version=1))


@pytest.mark.parametrize(("jobs", "each"), [(1, MOST), (MOST, 1)])
async def test_a_chunk_behind_hundreds_that_nobody_may_take_is_given_out_at_once(jobs: int, each: int) -> None:
    office = Office()
    await a_crowd(office, jobs, each)
    await office.jobs.store.add("honest", a_sampled_job(job="honest", account="bert", state=JobState.RENDERING, uncut=()))
    await office.chunks.store.add("wanted", a_chunk(chunk="wanted", job="honest", version=1, opened_at=later(1)))
    await office.agents.store.add("ann", an_agent("ann"))
    assert await given_out(office, "ann") == ["wanted"]


async def test_what_of_a_job_waits_for_the_house_hides_nothing_of_it_from_lenders() -> None:
    """The house is away, and its chunks wait longest. Control: where all chunks are seen the one for lenders is given out."""
    for crowd in (0, 50):
        office = Office()
        await a_crowd(office, crowd, 5)
        await office.jobs.store.add("job", a_sampled_job(job="job", account="bert", state=JobState.RENDERING, uncut=()))
        for at in range(LEAST):
            await office.chunks.store.add(f"house-{at}", a_chunk(chunk=f"house-{at}", job="job", version=1, house=True))
        await office.chunks.store.add("wanted", a_chunk(chunk="wanted", job="job", version=1, opened_at=later(1)))
        await office.agents.store.add("ann", an_agent("ann"))
        assert await given_out(office, "ann") == ["wanted"]


async def test_an_inspection_behind_hundreds_of_samples_is_given_to_the_house_at_once() -> None:
    office = Office()
    await a_crowd(office, 50, 4)
    await office.jobs.store.add("new", a_job("new", JobState.INSPECTING, account="bert"))
    look = a_chunk(chunk="look", job="new", kind=Kind.INSPECT, frames=(), house=True, opened_at=later(1))
    await office.chunks.store.add("look", look)
    await office.agents.store.add("house", an_agent("house", house=True))
    assert await given_out(office, "house") == ["look"]


async def test_where_there_is_more_than_a_page_all_of_it_is_given_out_in_the_end() -> None:
    office = Office()
    for at in range(MOST + 50):
        await office.jobs.store.add(f"job-{at}", a_sampled_job(job=f"job-{at}", state=JobState.RENDERING, uncut=()))
        await office.chunks.store.add(f"chunk-{at}", a_chunk(chunk=f"chunk-{at}", job=f"job-{at}", version=1))
    await office.agents.store.add("ann", an_agent("ann", slots=MOST + 50))
    assert len(set(await given_out(office, "ann", looks=8))) == MOST + 50


@given(st.sets(st.integers(0, 999), min_size=1, max_size=300), st.sets(st.integers(0, 999)), st.integers(0, 999))
def test_every_job_has_its_turn_and_those_that_could_be_taken_have_it_first(all_: set[int], good: set[int], after: int) -> None:
    jobs, at, seen = sorted(f"{one:03d}" for one in all_), f"{after:03d}", set[str]()
    could = {f"{one:03d}" for one in good & all_}
    for turn in range(len(jobs) // IN_TURN + 1):
        shown, at = page(jobs, at, could.__contains__)
        assert len(shown) == len(set(shown)) == min(JOBS, len(jobs))
        assert turn or sum(job in could for job in shown) >= min(JOBS - IN_TURN, len(could))
        seen |= set(shown)
    assert seen == set(jobs)
