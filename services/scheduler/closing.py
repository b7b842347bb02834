"""What follows from a job's state for its chunks: stop them, put them back, or see that nothing is left.

Every step may be repeated: handlers do it at once, a sweep does it again for what a crash left.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from services.chassis import traces
from services.chassis.repository import Change, Saved
from services.scheduler import metrics
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain import chunk as chunks_domain
from services.scheduler.domain import deadlines, wishes
from services.scheduler.domain import job as jobs_domain
from services.scheduler.domain.chunk import Chunk, Decided
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import JobState
from services.scheduler.repository import Chunks, Jobs

ROUNDS = 20
MOST_OPEN = 10_000
"""Chunks of one job that are looked at together: far more than a farm has slots."""
LEFT_OUT = "the renter does not want these frames any more"
_LAST = (JobState.QUEUED, JobState.RENDERING)


class Closing:
    def __init__(self, jobs: Jobs, chunks: Chunks, dispatch: Dispatch) -> None:
        self._jobs, self._chunks, self._dispatch = jobs, chunks, dispatch

    async def settle(self, job: Job) -> None:
        """Bring the chunks of a job that is over or paused in line with that; others are left alone."""
        self._dispatch.stale()
        if jobs_domain.is_over(job) or job.state is JobState.PAUSED:
            await self._dispatch.settled()  # chunks that are being claimed are found then, too
        name, why = job.job, job.reason[: jobs_domain.MOST_WORDS]  # older jobs may have kept more
        if jobs_domain.is_over(job):
            await self._each(lambda: self._chunks.open_of(name), lambda chunk, now: chunks_domain.closed(chunk, why, now))
        elif job.state is JobState.PAUSED:
            await self._each(lambda: self._chunks.held_of([name]), lambda chunk, now: chunks_domain.put_back(chunk, why, now))
        if job.wishes.left_out and not jobs_domain.is_over(job):
            open_ones, unwanted = self._chunks.open_of, job.wishes.left_out
            await self._each(
                lambda: open_ones(name, MOST_OPEN), lambda chunk, now: wishes.left_out(chunk, unwanted, LEFT_OUT, now)
            )

    async def finish(self, job: str) -> None:
        """The job is rendered when nothing is uncut and no chunk is open."""
        known = await self._jobs.get(job)
        if known is None or known.uncut or jobs_domain.stage(known) not in _LAST:
            return
        await self._dispatch.realise(job)
        if not await self._chunks.any_open(job):
            with traces.under(known.trace):
                await self._end(job)

    async def _end(self, job: str) -> None:
        """Of several processes that find it rendered one counts it."""
        before: list[Job] = []

        def decide(job: Job, now: datetime) -> jobs_domain.Decided:
            before[:] = [job]
            return _rendered(job, now)

        after = await self._jobs.update(job, decide)
        _count(before[0], after)

    async def _each(
        self, find: Callable[[], Awaitable[list[Saved[Chunk]]]], decide: Callable[[Chunk, datetime], Decided]
    ) -> None:
        """Until nothing that is found is changed any more. What is found and stays as it is must not hide the rest."""
        for _ in range(ROUNDS):
            now = await self._jobs.store.now()
            decided = [(saved, *decide(saved.state, now)) for saved in await find()]
            changes = [Change(saved, state, events) for saved, state, events in decided if state != saved.state]
            if not changes:
                return
            await self._chunks.save(changes)


def _rendered(job: Job, now: datetime) -> jobs_domain.Decided:
    """Cuts that were made since the chunks were counted keep it open."""
    if job.cuts:
        return job, []
    after, told = jobs_domain.rendered(job)
    late, events = deadlines.missed(job, 0, None, now) if told else (job, [])
    return replace(after, missed=late.missed), [*events, *told]


def _count(before: Job, after: Job) -> None:
    """Whether its deadline was kept; one that was told to be missed is counted already."""
    if before.state is not after.state is JobState.PACKAGING and deadlines.deadline(after) is not None:
        if after.missed != before.missed:
            metrics.DEADLINES.labels("missed").inc()
        elif deadlines.is_due(after):
            metrics.DEADLINES.labels("kept").inc()
