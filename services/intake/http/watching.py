"""Watching a job: its frames, its story, and both as a stream (server-sent events) that resumes where it broke.

Events of the stream: `timeline` (with an id; resumed by Last-Event-ID, none missed, none twice), `job` (the whole view, when it
changed), `frames` (one bucket of frames, when it changed). The last two are snapshots: losing one loses nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from contracts.values import Ranges
from services.intake.domain import frames as bitmaps
from services.intake.domain.framelists import written
from services.intake.domain.frames import SPAN, Bucket
from services.intake.domain.jobs import Job
from services.intake.http import shapes, views
from services.intake.http.desk import Desk, OwnJob, TheDesk
from services.intake.http.jobs import seen
from services.intake.repository.bell import Ear
from services.intake.repository.frames import Counted

router = APIRouter(prefix="/v1/jobs", tags=["watching"])
AT_MOST_EVERY_SECONDS = 0.25
LOOK_SECONDS = 1.0
PING_SECONDS = 15.0
LIFE_SECONDS = 3_600.0
"""Then the stream ends and the client comes back: with a fresh look at who it is."""
After = Annotated[int, Query(ge=0, le=1 << 53)]
"""The number of an entry; the database knows none above 64 bits, and JSON's readers none above 53."""


class FramesView(BaseModel):
    """Frame lists as text. Pending is what is in `frames` and in none of the others."""

    total: int
    frames: str
    stored: str
    arriving: str
    rendering: str
    stored_count: int
    arriving_count: int


class BucketView(BaseModel):
    """Frames `first` to `last`: which are stored, which are on their way."""

    first: int
    last: int
    stored: str
    arriving: str


@router.get("/{job}/frames", summary="Which frames are where")
async def frames(job: str, own_job: OwnJob, desk: TheDesk) -> FramesView:
    return await frames_of(desk, own_job.id, own_job.state)


@router.get("/{job}/timeline", summary="The job's story")
async def timeline(job: str, own_job: OwnJob, desk: TheDesk, after: After = 0) -> list[shapes.TimelineLine]:
    """At most 500 entries after this number."""
    return [views.timeline_line(line) for line in await desk.memory.timeline.after(own_job.id, after)]


@router.get("/{job}/events", summary="The job's story and progress as server-sent events", response_class=StreamingResponse)
async def events(request: Request, job: str, own_job: OwnJob, desk: TheDesk, after: After = 0) -> StreamingResponse:
    last = request.headers.get("last-event-id", "")
    number = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
    desk.streams.enter(own_job.state.account)
    stream = _Stream(desk, own_job.state.account, own_job.id, number)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream.run(), media_type="text/event-stream", headers=headers)


async def frames_of(desk: Desk, id: str, job: Job) -> FramesView:
    buckets = [saved.state for saved in await desk.memory.frames.of(id)]
    stored, arriving = _joined(bitmaps.stored(b) for b in buckets), _joined(bitmaps.arriving(b) for b in buckets)
    shares = job.progress.agents if job.progress else ()
    rendering = sorted({frame for share in shares for frame in share.frames})
    return FramesView(
        total=job.total,
        frames=written(job.frames or job.asked),
        stored=written(stored),
        arriving=written(arriving),
        rendering=",".join(str(frame) for frame in rendering),
        stored_count=sum(len(r) for r in stored),
        arriving_count=sum(len(r) for r in arriving),
    )


def bucket_view(bucket: Bucket) -> BucketView:
    first = bucket.number * SPAN
    stored, arriving = written(bitmaps.stored(bucket)), written(bitmaps.arriving(bucket))
    return BucketView(first=first, last=first + SPAN - 1, stored=stored, arriving=arriving)


class _Stream:
    """One watcher of one job."""

    def __init__(self, desk: Desk, account: str, job: str, number: int) -> None:
        self._desk, self._account, self._job, self._number = desk, account, job, number
        self._revision = -1
        self._buckets: dict[int, int] = {}

    async def run(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        end, said = loop.time() + LIFE_SECONDS, loop.time()
        try:
            with self._desk.memory.bell.listening(self._job) as ear:
                while loop.time() < end and not self._desk.memory.bell.silent:
                    async for text in self._news():
                        said = loop.time()
                        yield text
                    if loop.time() - said > PING_SECONDS:
                        said = loop.time()
                        yield ": still here\n\n"
                    await self._rest(ear)
        finally:
            self._desk.streams.leave(self._account)

    async def _rest(self, ear: Ear) -> None:
        await asyncio.sleep(AT_MOST_EVERY_SECONDS)
        await ear.heard(LOOK_SECONDS - AT_MOST_EVERY_SECONDS)

    async def _news(self) -> AsyncIterator[str]:
        memory = self._desk.memory
        saved = await memory.jobs.of(self._account, self._job)
        counts = (await memory.frames.counts([self._job])).get(self._job)
        revision = views.revision(saved, counts or Counted(), await memory.farm.get()) if saved else 0
        if saved is not None and revision != self._revision:
            self._revision = revision
            for bucket in await memory.frames.of(self._job):
                if self._buckets.get(bucket.state.number) != bucket.version:
                    self._buckets[bucket.state.number] = bucket.version
                    yield _message("frames", bucket_view(bucket.state))
            yield _message("job", await seen(self._desk, saved))
        while lines := await memory.timeline.after(self._job, self._number):
            for line in lines:
                self._number = line.number
                yield _message("timeline", views.timeline_line(line), line.number)


def _message(event: str, body: BaseModel, number: int | None = None) -> str:
    id = f"id: {number}\n" if number is not None else ""
    return f"{id}event: {event}\ndata: {body.model_dump_json()}\n\n"


def _joined(parts: Iterable[Ranges]) -> Ranges:
    return tuple(r for part in parts for r in part)
