"""The end of a job's frames: closed, counted, sealed; and, when its time is over, thrown away.

Why nothing can be stored after the count stands in `domain.job`.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from contracts.events import JobSubmitted
from services.chassis.clock import DatabaseClock
from services.chassis.repository import Change, Unknown
from services.chassis.verdicts import NotYet
from services.storage.bucket import Bucket
from services.storage.domain import frame as framing
from services.storage.domain import job as jobbing
from services.storage.domain.job import Job, JobState, Outcome
from services.storage.domain.task import Task, TaskKind
from services.storage.domain.upload import LONGEST
from services.storage.repository import Bundles, Frames, Jobs, Tasks

log = structlog.get_logger()


@dataclass(frozen=True)
class Sealing:
    jobs: Jobs
    frames: Frames
    bundles: Bundles
    tasks: Tasks
    bucket: Bucket
    clock: DatabaseClock
    keep: timedelta

    async def submitted(self, event: JobSubmitted) -> None:
        """Remember whose it is. A bundle that is not this account's is never granted, whoever asks."""
        await self.jobs.add(jobbing.submitted(event))
        if await self.bundles.use(event.account, event.bundle) is None:
            log.error("a job names a bundle its account does not have", job=event.job, account=event.account)

    async def end(self, job_id: str, outcome: Outcome, fps_milli: int = 24_000) -> None:
        """Close, count, seal, and have it packaged. Repeats and crashes are harmless. Raises NotYet."""
        try:
            job = await self.jobs.update(job_id, lambda state, _: jobbing.closed(state, outcome, fps_milli))
        except Unknown:
            raise NotYet("the job is not known yet") from None
        if job.state is JobState.CLOSED:
            job = await self._seal(job)
        if jobbing.wants_package(job, await self.frames.rendered_after_acceptance(job.id)):
            await self.tasks.add(Task(f"package:{job.id}", TaskKind.PACKAGE, job.id))

    async def _seal(self, job: Job) -> Job:
        while arrived := await self.frames.arrived(job.id):
            await self.frames.save([Change(saved, *framing.refused(saved.state)) for saved in arrived])
        stored = await self.frames.stored(job.id)
        sealed = await self.jobs.update(job.id, lambda state, now: jobbing.sealed(state, stored, now + self.keep))
        log.info("job sealed", job=job.id, outcome=str(sealed.outcome), frames=sealed.frames)
        return sealed

    # --- retention

    async def order_purges(self) -> int:
        """The sweep: jobs whose time is over are thrown away by a worker."""
        due = await self.jobs.due_for_purge(await self.clock.now(), await self.tasks.subjects(TaskKind.PURGE))
        for job in due:
            await self.tasks.add(Task(f"purge:{job}", TaskKind.PURGE, job))
        return len(due)

    async def purge(self, job_id: str) -> None:
        """The task: objects first, then records, then the word. Raises WorldAway."""
        for place in ("frames", "thumbnails", "packages"):
            await self.bucket.delete_below(f"{place}/{job_id}/")
        await self.frames.forget(job_id)
        await self.jobs.update(job_id, lambda state, _: jobbing.purged(state))
        log.info("job purged", job=job_id)

    async def drop_unused_bundles(self) -> int:
        """The sweep: bundles that no open job needs and nobody has asked for during the retention."""
        before = await self.clock.now() - self.keep
        dropped = 0
        for bundle in await self.bundles.unused_since(before):
            if bundle.kept and await self.jobs.use(bundle.account, bundle.sha256):
                await self.bundles.use(bundle.account, bundle.sha256)  # or the same hundred would be looked at for ever
                continue
            if not await self.bundles.drop(bundle, before):
                continue
            await self.bucket.delete([bundle.key])
            await self.bundles.forget(bundle)
            dropped += 1
        return dropped

    async def drop_leftovers(self) -> int:
        """The sweep: staged frames and unfinished objects of more than a day ago; renters' uploads may take longer."""
        now = await self.clock.now()
        before = now - timedelta(days=1)
        for place, begun in (("incoming/", now - LONGEST), ("bundles/", before), ("packages/", before)):
            for key, multipart in await self.bucket.unfinished(place, begun):
                await self.bucket.abort(key, multipart)
        return await self.bucket.delete_below("staged/", before) + await self.bucket.delete_below("incoming/", before)
