"""What a renter takes home: a ZIP of all frames, a video, a contact sheet.

Frames stream once through this process, one after another: into the ZIP, into ffmpeg, and a few of them into the sheet. Nothing
but the ZIP and the video lies on disk meanwhile. Each file is opened again before it is kept; a video or sheet that cannot be
made is left out, the frames never are. ffmpeg and the sheet run behind the same walls as all that reads strangers' pictures.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from contracts.events import PackagedFile
from services.storage.bucket import READ_BYTES, Bucket
from services.storage.domain import job as jobbing
from services.storage.domain.frame import FrameRecord
from services.storage.domain.job import Job, JobState, Outcome
from services.storage.metrics import PACKAGING
from services.storage.packing import TYPES, Filming, Sheeting, Taker, Zipping
from services.storage.repository import Frames, Jobs

log = structlog.get_logger()
AT_ONCE = 200


@dataclass(frozen=True)
class Packaging:
    jobs: Jobs
    frames: Frames
    bucket: Bucket
    folder: Path
    keep: timedelta

    async def package(self, job_id: str) -> None:
        """The task. Repeats make the same files again. Raises WorldAway."""
        job = await self.jobs.get(job_id)
        if job is None or job.state is not JobState.SEALED:
            return
        with PACKAGING.time():
            files = await self._files(job)
        await self._finish(job, files)

    async def give_up(self, job_id: str) -> None:
        """Told without files, so that nobody waits for ever; the frames can be downloaded one by one."""
        job = await self.jobs.get(job_id)
        if job is not None:
            await self._finish(job, ())

    async def _finish(self, job: Job, files: Sequence[PackagedFile]) -> None:
        await self.jobs.update(job.id, lambda state, now: jobbing.packaged(state, tuple(files), now, self.keep))
        log.info("job packaged", job=job.id, files=[file.name for file in files])

    async def _files(self, job: Job) -> list[PackagedFile]:
        numbers = await self.frames.stored(job.id)
        if not numbers:
            return []
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            made = await self._make(job, numbers, Path(folder))
            return [await self._keep(job, path) for path in made]

    async def _make(self, job: Job, numbers: list[int], folder: Path) -> list[Path]:
        """One pass over the frames, then every file is opened."""
        takers: list[Taker] = [Zipping(folder, jobbing.folder(job), numbers)]
        if job.outcome is Outcome.RENDERED:
            takers += [Filming(folder, job.fps_milli), Sheeting(folder, numbers)]
        try:
            for taker in takers:
                await taker.begin()
            async for record, data in self._pictures(job, numbers):
                await asyncio.gather(*(taker.take(record.frame, data) for taker in takers))
            return [path for taker in takers if (path := await taker.end()) is not None]
        finally:
            for taker in takers:
                await taker.close()

    async def _pictures(self, job: Job, numbers: list[int]) -> AsyncIterator[tuple[FrameRecord, bytes]]:
        for at in range(0, len(numbers), AT_ONCE):
            some = numbers[at : at + AT_ONCE]
            records = await self.frames.stored_records(job.id, some)
            for number in some:
                yield records[number], await self._picture(records[number])

    async def _picture(self, record: FrameRecord) -> bytes:
        data = await self.bucket.get(record.key, record.bytes)
        if data is None or hashlib.sha256(data).hexdigest() != record.file_sha256:
            raise RuntimeError(f"the store does not hold what was stored as {record.key}")
        return data

    async def _keep(self, job: Job, path: Path) -> PackagedFile:
        key, digest, size = f"packages/{job.id}/{path.name}", hashlib.sha256(), 0
        with path.open("rb") as file:
            async with self.bucket.writing(key, TYPES[path.name]) as writing:
                while piece := await asyncio.to_thread(file.read, READ_BYTES):
                    digest.update(piece)
                    size += len(piece)
                    await writing.write(piece)
                await writing.commit()
        return PackagedFile(name=path.name, key=key, bytes=size, sha256=digest.hexdigest())
