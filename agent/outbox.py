"""Delivers what the journal holds to the broker: as fast as it confirms and the farm allows, as long as it takes."""

import asyncio
import time

import structlog

from agent import metrics
from agent.domain.bandwidth import full, passed
from agent.journal import Journal, NoRoom, Waiting
from contracts.bus import Announcer, BrokerAway, NotAnnounced, TooLarge
from contracts.topology import AGENT_EVENTS_PER_SECOND

log = structlog.get_logger()

GROUP = 40
EVENTS_PER_SECOND = AGENT_EVENTS_PER_SECOND * 4 // 5
"""What was kept through hours without the farm must not look like a flood; pulses and answers come on top."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
REFUSED_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""What an inbox was too full for is said again after these times: the others it goes to have it already, each time once more. A
broker that has just started refuses too, for a moment."""


class Outbox:
    """Order is not promised. An event the broker will not take does not hold up the ones behind it."""

    def __init__(self, journal: Journal, announcer: Announcer, per_second: float = EVENTS_PER_SECOND) -> None:
        self._journal, self._announcer = journal, announcer
        self._news = asyncio.Event()
        self._pause = FIRST_PAUSE_SECONDS
        self._idle = asyncio.Event()
        self._bucket = full(per_second, time.monotonic())
        self._refused: dict[int, tuple[int, float]] = {}
        """Number → how often it was refused, and when it is tried again."""
        self._is_away = False

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
        """Tries everything that is due once, while the broker is there; how many were not confirmed."""
        last, failed, refused = 0, 0, dict[int, tuple[int, float]]()
        while group := self._journal.waiting(last, GROUP):
            due = [one for one in group if self._refused.get(one.number, (0, 0.0))[1] <= time.monotonic()]
            await self._paced(len(due))
            self._is_away = False
            confirmed = {number for number in await asyncio.gather(*map(self._try, due)) if number is not None}
            self._journal.confirmed(confirmed)
            left = [one.number for one in group if one.number not in confirmed]
            refused |= {number: self._refused[number] for number in left if number in self._refused}
            failed, last = failed + len(left), group[-1].number
            if self._is_away and not confirmed:
                return self._journal.depth()
        self._refused = refused
        return failed

    async def _paced(self, events: int) -> None:
        self._bucket, seconds = passed(self._bucket, events, time.monotonic())
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _try(self, waiting: Waiting) -> int | None:
        try:
            await self._announcer.announce(waiting.announcement)
        except TooLarge as why:  # no time and no broker changes that
            log.error("can never be said and is given up", event_key=waiting.announcement.event.key(), why=str(why)[:200])
            return waiting.number
        except BrokerAway as why:
            self._is_away = True
            log.warning("not delivered yet", event_key=waiting.announcement.event.key(), why=str(why)[:200])
            return None
        except NotAnnounced as why:
            tries, _ = self._refused.get(waiting.number, (0, 0.0))
            self._refused[waiting.number] = (tries + 1, time.monotonic() + REFUSED_SECONDS[min(tries, len(REFUSED_SECONDS) - 1)])
            log.warning("not delivered yet", event_key=waiting.announcement.event.key(), why=str(why)[:200], tries=tries + 1)
            return None
        return waiting.number
