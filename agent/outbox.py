"""Delivers what the journal holds to the broker: as fast as it confirms and the farm allows, as long as it takes."""

import asyncio
import time

import structlog

from agent import metrics
from agent.domain.bandwidth import full, passed
from agent.journal import Journal, NoRoom, Waiting
from contracts.bus import Announcer, NotAnnounced
from contracts.topology import AGENT_EVENTS_PER_SECOND

log = structlog.get_logger()

GROUP = 40
EVENTS_PER_SECOND = AGENT_EVENTS_PER_SECOND * 4 // 5
"""What was kept through hours without the farm must not look like a flood; pulses and answers come on top."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0


class Outbox:
    """Order is not promised. An event the broker will not take does not hold up the ones behind it."""

    def __init__(self, journal: Journal, announcer: Announcer, per_second: float = EVENTS_PER_SECOND) -> None:
        self._journal, self._announcer = journal, announcer
        self._news = asyncio.Event()
        self._pause = FIRST_PAUSE_SECONDS
        self._idle = asyncio.Event()
        self._bucket = full(per_second, time.monotonic())

    def nudge(self) -> None:
        """There may be something to deliver."""
        self._idle.clear()
        self._news.set()

    async def drained(self) -> None:
        """Returns when everything was delivered."""
        await self._idle.wait()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._news.clear()
            left = await self._attempted()
            metrics.OUTBOX.set(left)
            if not left and not self._news.is_set():
                self._idle.set()
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS) if left else FIRST_PAUSE_SECONDS
            if not self._news.is_set():
                await self._rest(self._pause if left else None)

    async def _rest(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return

    async def _attempted(self) -> int:
        """A round; how many are left. While the disk is full nothing is crossed off: what was confirmed is said again later."""
        try:
            return await self._round()
        except NoRoom:
            log.warning("what is delivered cannot be crossed off: the disk is full")
            return self._journal.depth()

    async def _round(self) -> int:
        """Tries everything once; how many were not confirmed."""
        last, failed = 0, 0
        while group := self._journal.waiting(last, GROUP):
            await self._paced(len(group))
            confirmed = [number for number in await asyncio.gather(*map(self._try, group)) if number is not None]
            self._journal.confirmed(confirmed)
            failed += len(group) - len(confirmed)
            last = group[-1].number
            if not confirmed:
                return self._journal.depth()
        return failed

    async def _paced(self, events: int) -> None:
        self._bucket, seconds = passed(self._bucket, events, time.monotonic())
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _try(self, waiting: Waiting) -> int | None:
        try:
            await self._announcer.announce(waiting.announcement)
        except NotAnnounced as why:
            log.warning("not delivered yet", event_key=waiting.announcement.event.key(), why=str(why)[:200])
            return None
        return waiting.number
