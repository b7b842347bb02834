"""Presigned addresses, asked for from storage over the bus and handed to the request that waits for them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from contracts.bus import NotAnnounced, new_id
from contracts.events import Download, DownloadsGranted, DownloadsRequested, Event, PartsGranted, PartsRequested
from services.chassis.clock import DatabaseClock
from services.intake.domain.uploads import Upload
from services.intake.repository.answers import USABLE, Answers
from services.intake.repository.bell import Bell

log = structlog.get_logger()
Say = Callable[[Event], Awaitable[None]]
ASK_AGAIN_SECONDS = 4.0
YOUNG = timedelta(seconds=0.5)
OPENING_SECONDS = 0.15
"""What storage needs to open an upload; asking earlier costs a turn on its retry ladder."""
GATHER_SECONDS = 0.03
MOST_NAMES = 200
"""In one question to storage."""
MOST_KEPT = 20_000


class Addresses:
    def __init__(self, answers: Answers, bell: Bell, clock: DatabaseClock, say: Say) -> None:
        self._answers, self._bell, self._clock, self._say = answers, bell, clock, say
        self._kept: dict[tuple[str, str], tuple[Download, datetime]] = {}
        self._waiting: dict[str, dict[str, asyncio.Future[Download | None]]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def parts(self, id: str, sending: Callable[[], Awaitable[Upload]], page: int, seconds: float) -> PartsGranted | None:
        """Part addresses of one page; None when storage did not answer in time. `sending` gives the upload while it takes
        parts, and raises when it does not any more."""
        if await self._clock.now() - (await sending()).requested_at < YOUNG:
            await asyncio.sleep(OPENING_SECONDS)
        asked = -ASK_AGAIN_SECONDS

        async def look() -> PartsGranted | None:
            nonlocal asked
            upload = await sending()
            found = await self._answers.get(f"parts:{id}:{page}", PartsGranted)
            now = asyncio.get_running_loop().time()
            if found is None and now - asked >= ASK_AGAIN_SECONDS:
                asked = now
                await self._say(PartsRequested(upload=id, account=upload.account, page=page))
            return found

        return await self._bell.until(id, seconds, look)

    async def downloads(self, job: str, account: str, names: Sequence[str], seconds: float) -> dict[str, Download] | None:
        """What exists of these names, by name; None when storage did not answer in time."""
        now = await self._clock.now()
        found = {name: kept[0] for name in names if (kept := self._kept.get((job, name))) and kept[1] > now}
        missing = tuple(name for name in dict.fromkeys(names) if name not in found)
        if missing:
            answer = await self._asked(job, account, missing, seconds)
            if answer is None:
                return None
            self._keep(job, answer, now)
            found |= {one.name: one for one in answer.downloads}
        return found

    async def one(self, job: str, account: str, name: str, seconds: float) -> Download | None:
        """One of many that a page asks for at once: what is asked for while a question to storage is under way goes into the
        next one."""
        kept = self._kept.get((job, name))
        if kept is not None and kept[1] > await self._clock.now():
            return kept[0]
        waiting = self._waiting.setdefault(job, {})
        future = waiting.setdefault(name, asyncio.get_running_loop().create_future())
        if job not in self._asking:
            self._asking[job] = asyncio.create_task(self._ask_for_all(job, account, seconds))
        done, _ = await asyncio.wait({future}, timeout=seconds)
        return future.result() if done else None

    async def _ask_for_all(self, job: str, account: str, seconds: float) -> None:
        try:
            await asyncio.sleep(GATHER_SECONDS)
            while waiting := self._waiting.get(job):
                batch = {name: waiting.pop(name) for name in list(waiting)[:MOST_NAMES]}
                found = await self._found(job, account, list(batch), seconds)
                for name, future in batch.items():
                    future.set_result(found.get(name))
        finally:
            self._asking.pop(job, None)
            self._waiting.pop(job, None)

    async def _found(self, job: str, account: str, names: list[str], seconds: float) -> dict[str, Download]:
        """Nothing when storage does not answer or the broker is away: a small picture is not worth an error."""
        try:
            return await self.downloads(job, account, names, seconds) or {}
        except NotAnnounced as away:
            log.info("thumbnails must wait", job=job, problem=str(away))
            return {}

    async def _asked(self, job: str, account: str, names: tuple[str, ...], seconds: float) -> DownloadsGranted | None:
        request = new_id()
        await self._say(DownloadsRequested(request=request, job=job, account=account, names=names))

        async def look() -> DownloadsGranted | None:
            return await self._answers.get(f"downloads:{request}", DownloadsGranted)

        return await self._bell.until(request, seconds, look)

    def _keep(self, job: str, answer: DownloadsGranted, now: datetime) -> None:
        if len(self._kept) > MOST_KEPT:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[1] > now}
        until = now + timedelta(seconds=answer.seconds_valid * USABLE / 2)
        for one in answer.downloads:
            self._kept[job, one.name] = one, until
