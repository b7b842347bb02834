"""Short-lived URLs: to fetch a bundle, to put a rendered frame, to download what a job has given."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from contracts.events import (
    BundleGranted,
    BundleRequested,
    Download,
    DownloadsGranted,
    DownloadsRequested,
    FramesRendered,
    FrameUpload,
    RenderedFrame,
    UploadGranted,
)
from contracts.grants import Grant
from services.chassis.clock import DatabaseClock
from services.chassis.verdicts import NotYet, SenderFault
from services.storage.bucket import Bucket
from services.storage.domain import admission
from services.storage.domain.admission import NotAllowed
from services.storage.domain.frame import Claim, FrameRecord, claim_id, staged_key
from services.storage.domain.job import Job, JobState, file_name, folder
from services.storage.metrics import UPLOADS_GRANTED
from services.storage.repository import Agents, Bundles, Claims, Frames, Jobs

log = structlog.get_logger()
PNG = "image/png"
Outcome = Exception | None


@dataclass(frozen=True)
class Granting:
    agents: Agents
    bundles: Bundles
    jobs: Jobs
    frames: Frames
    claims: Claims
    bucket: Bucket
    clock: DatabaseClock
    keys: Mapping[str, bytes]

    # --- a bundle for an agent

    async def bundle(self, event: BundleRequested) -> BundleGranted | None:
        """None when the job's own account does not have the bundle: then nobody gets it, and it is not the agent's fault.
        Raises SenderFault, NotYet."""
        job = await self._job(event.grant)
        bundle = await self.bundles.use(job.account, job.bundle)
        if bundle is None or job.state is not JobState.OPEN:
            log.warning("no bundle to give", job=job.id, agent=event.grant.agent, state=job.state.value, kept=bundle is not None)
            return None
        return BundleGranted(
            agent=event.grant.agent,
            job=job.id,
            attempt=event.grant.attempt,
            bundle=bundle.sha256,
            bytes=bundle.bytes,
            url=await self.bucket.url_to_get(bundle.key),
            seconds_valid=self.bucket.url_seconds,
        )

    async def _job(self, grant: Grant) -> Job:
        """The job of a good grant. Raises SenderFault, NotYet."""
        revoked = await self.agents.revoked_among([grant.agent])
        try:
            admission.check_grant(grant, self.keys, await self.clock.now(), bool(revoked))
        except NotAllowed as no:
            raise SenderFault(str(no)) from None
        job = await self.jobs.get(grant.job)
        if job is None:
            raise NotYet("the job is not known yet")
        if job.bundle != grant.bundle:
            raise SenderFault("the grant names another bundle than its job")
        return job

    # --- room for frames

    async def uploads(self, batch: Sequence[FramesRendered]) -> tuple[list[Outcome], list[UploadGranted]]:
        """An outcome per message, and what is to be said. What is offered to a closed job is passed over in silence: the agent
        hears of the job's end from the scheduler, and nobody is to blame."""
        now = await self.clock.now()
        revoked = await self.agents.revoked_among(event.grant.agent for event in batch)
        jobs = await self.jobs.known(event.grant.job for event in batch)
        told = await self.claims.told(claim_id(event.grant.attempt, frame.frame) for event in batch for frame in event.frames)
        outcomes = [_problem(event, self.keys, revoked, jobs, told, now) for event in batch]
        judged = zip(batch, outcomes, strict=True)
        good = [event for event, problem in judged if problem is None and jobs[event.grant.job].state is JobState.OPEN]
        await self.claims.remember([_claim(event.grant, frame) for event in good for frame in event.frames], now)
        return outcomes, list(await asyncio.gather(*(self._upload(event) for event in good)))

    async def _upload(self, event: FramesRendered) -> UploadGranted:
        grant = event.grant
        UPLOADS_GRANTED.inc(len(event.frames))
        return UploadGranted(
            agent=grant.agent,
            job=grant.job,
            attempt=grant.attempt,
            uploads=tuple([await self._room(grant, frame) for frame in event.frames]),
            seconds_valid=self.bucket.url_seconds,
        )

    async def _room(self, grant: Grant, frame: RenderedFrame) -> FrameUpload:
        url = await self.bucket.url_to_put(staged_key(grant.attempt, frame.frame, frame.file_sha256), frame.bytes, PNG)
        return FrameUpload(frame=frame.frame, url=url, bytes=frame.bytes, content_type=PNG)

    # --- downloads for the owner

    async def downloads(self, event: DownloadsRequested) -> DownloadsGranted:
        """URLs for what exists of the names, and for nothing when the job is not this account's."""
        job = await self.jobs.get(event.job)
        mine = job is not None and job.account == event.account and job.state is not JobState.PURGED
        found = [*await self._frames(job, event.names), *await self._packages(job, event.names)] if mine and job else []
        return DownloadsGranted(
            request=event.request,
            job=event.job,
            account=event.account,
            downloads=tuple(found),
            seconds_valid=self.bucket.url_seconds,
        )

    async def _frames(self, job: Job, names: Sequence[str]) -> list[Download]:
        wanted = {name: number for name in names if (number := _number(name)) is not None}
        records = await self.frames.stored_records(job.id, set(wanted.values()))
        pairs = [(name, records[number]) for name, number in wanted.items() if number in records]
        return [await self._frame(name, record) for name, record in pairs]

    async def _frame(self, name: str, record: FrameRecord) -> Download:
        if name.startswith("thumbnails/"):
            url = await self.bucket.url_to_get(record.thumbnail_key)
            return Download(name=name, url=url, bytes=record.thumbnail_bytes, sha256=record.thumbnail_sha256)
        url = await self.bucket.url_to_get(record.key, file_name(record.frame))
        return Download(name=name, url=url, bytes=record.bytes, sha256=record.file_sha256)

    async def _packages(self, job: Job, names: Sequence[str]) -> list[Download]:
        return [
            Download(
                name=file.name,
                url=await self.bucket.url_to_get(file.key, f"{_ascii(folder(job))}-{file.name}"),
                bytes=file.bytes,
                sha256=file.sha256,
            )
            for file in job.files
            if file.name in names
        ]


def _problem(
    event: FramesRendered,
    keys: Mapping[str, bytes],
    revoked: set[str],
    jobs: Mapping[str, Job],
    told: Mapping[str, set[str]],
    now: datetime,
) -> Outcome:
    """What is admitted is `told` from now on: the next message of the same batch may name other files."""
    grant = event.grant
    try:
        admission.check_grant(grant, keys, now, grant.agent in revoked)
        admission.check_frames(grant, [frame.frame for frame in event.frames])
        admission.check_sizes(grant, event.frames)
        admission.check_files(grant, event.frames, told)
    except NotAllowed as no:
        return SenderFault(str(no))
    if grant.job not in jobs:
        return NotYet("the job is not known yet")
    for frame in event.frames:
        told[claim_id(grant.attempt, frame.frame)].add(frame.file_sha256)
    return None


def _claim(grant: Grant, frame: RenderedFrame) -> Claim:
    return Claim(
        attempt=grant.attempt,
        frame=frame.frame,
        file_sha256=frame.file_sha256,
        pixel_sha256=frame.pixel_sha256,
        bytes=frame.bytes,
        cpu_micros=frame.cpu_micros,
        seconds=frame.seconds,
    )


def _number(name: str) -> int | None:
    """The frame of `frames/12` or `thumbnails/-3`."""
    kind, _, number = name.partition("/")
    if kind not in ("frames", "thumbnails") or not number.removeprefix("-").isdecimal() or not number.isascii():
        return None
    return int(number) if len(number) <= 8 else None


def _ascii(name: str) -> str:
    return name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
