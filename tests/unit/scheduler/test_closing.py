"""What a job's end or pause does to its chunks, however many there are."""

from dataclasses import replace

import pytest

from contracts.events import AttemptCancelled, ChunkFailed, Fault, JobFailed
from contracts.values import Kind
from services.scheduler.domain import job as jobs
from services.scheduler.domain import words
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import a_chunk, a_holder, a_sampled_job
from tests.unit.scheduler.office import Office

MOST = 500
"""Chunks that are looked at together."""


@pytest.mark.parametrize(("state", "left"), [(JobState.PAUSED, ChunkState.QUEUED), (JobState.CANCELLED, ChunkState.CLOSED)])
@pytest.mark.parametrize(("queued", "held"), [(MOST, 2), (1, MOST + 1)])
async def test_every_attempt_of_a_job_is_stopped(state: JobState, left: ChunkState, queued: int, held: int) -> None:
    office = Office()
    job = a_sampled_job(state=state, uncut=())
    await office.jobs.store.add("job", job)
    for at in range(queued):
        await office.chunks.store.add(f"queued-{at}", a_chunk(chunk=f"queued-{at}", version=1))
    for at in range(held):
        name = f"held-{at}"
        await office.chunks.store.add(name, a_chunk(chunk=name, version=1, state=ChunkState.RENDERING, holder=a_holder(name)))
    await office.desk.closing.settle(job)
    assert {chunk.state for chunk in office.all_chunks()} == {left}
    assert len([one for one in office.told if isinstance(one, AttemptCancelled)]) == held


async def an_office_with_open_chunks_of(*found: jobs.Job) -> Office:
    office = Office()
    for job in found:
        await office.jobs.store.add(job.job, job)
        chunk = a_chunk(chunk=f"of-{job.job}", job=job.job, version=1, state=ChunkState.RENDERING, holder=a_holder(job.job))
        await office.chunks.store.add(chunk.chunk, chunk)
    return office


def still_open(office: Office) -> set[str]:
    return {chunk.job for chunk in office.all_chunks() if chunk.state is not ChunkState.CLOSED}


async def test_a_job_that_fails_with_the_longest_of_reasons_stops_its_attempts() -> None:
    said = ChunkFailed(job="job", chunk="c", attempt="a", fault=Fault.SCENE, frame=12, text="x" * 2_000)
    job, told = jobs.failed(a_sampled_job(state=JobState.RENDERING), "scene_fault", words.reason(Kind.RENDER, said))
    assert any(isinstance(one, JobFailed) for one in told)
    office = await an_office_with_open_chunks_of(job)
    await office.desk.closing.settle(job)
    assert still_open(office) == set()


async def test_a_job_that_was_saved_with_a_longer_reason_than_can_be_told_is_settled() -> None:
    job = a_sampled_job(state=JobState.FAILED, uncut=(), reason="x" * 2_040)
    office = await an_office_with_open_chunks_of(job)
    await office.sweep()
    assert still_open(office) == set()


async def test_a_job_that_cannot_be_settled_keeps_no_other_from_it() -> None:
    good = [a_sampled_job(job=f"good-{at}", state=JobState.CANCELLED, uncut=()) for at in range(2)]
    office = await an_office_with_open_chunks_of(good[0], a_sampled_job(job="bad", state=JobState.CANCELLED), good[1])
    bad = replace(office.chunks.store.states["of-bad"][1], holder=a_holder(agent="no agent"))
    office.chunks.store.states["of-bad"] = (1, bad)
    with pytest.raises(ExceptionGroup):
        await office.sweep()
    assert still_open(office) == {"bad"}
