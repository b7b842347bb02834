"""What a job's end or pause does to its chunks, however many there are."""

import pytest

from contracts.events import AttemptCancelled
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
