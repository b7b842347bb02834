"""Telling people: leased records, sent beside one another, never two at once to the same account.

One slow receiver holds up nobody but its own account; each channel has its own places.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import get_args

import structlog
from prometheus_client import Counter, Gauge

from services.chassis.sweeps import Sweep
from services.notifier.domain.delivery import Channel, Delivery, Progress
from services.notifier.domain.facts import Told
from services.notifier.repository import Deliveries
from services.notifier.sending import Refused, Unsent

log = structlog.get_logger()
PLACES = 16
LOOK_SECONDS, REST_SECONDS = 1.0, 0.2

TOLD = Counter("framelend_notifier_deliveries", "Tries to tell somebody", ["channel", "event", "outcome"])
OPEN = Gauge("framelend_notifier_open", "Tellings that are due or under way")

Send = Callable[[Delivery], Awaitable[None]]
"""Raises Unsent or Refused."""


class Worker:
    def __init__(self, deliveries: Deliveries, senders: Mapping[Channel, Send]) -> None:
        self._deliveries, self._senders = deliveries, senders
        self._running: dict[Channel, dict[str, asyncio.Task[None]]] = {channel: {} for channel in senders}
        for channel, event in itertools.product(senders, get_args(Told)):  # a count that begins with 1 has not risen
            TOLD.labels(channel.value, event.key(), Progress.FAILED.value)

    def sweeps(self) -> list[Sweep]:
        async def count() -> None:
            OPEN.set(await self._deliveries.count_open())

        looking = [Sweep(f"tell by {channel}", REST_SECONDS, partial(self._round, channel)) for channel in self._senders]
        return [*looking, Sweep("count open tellings", 5, count)]

    async def _round(self, channel: Channel) -> None:
        """A look, then another at once when something is added or a place is free, or in a moment."""
        rings = self._deliveries.bell.rings
        await self.look(channel)
        await self._deliveries.bell.after(rings, LOOK_SECONDS)

    async def look(self, channel: Channel) -> None:
        """Begin what is due, as far as there are places: one of each account, that thousands of one do not keep all others."""
        running, begun = self._running[channel], set[str]()
        while free := PLACES - len(running):
            due = await self._deliveries.open(channel, begun | running.keys(), free)
            if not due:
                return
            for one in due:
                if one.account not in begun | running.keys():
                    begun.add(one.account)
                    self._begin(one)

    def _begin(self, one: Delivery) -> None:
        running = self._running[one.channel]
        running[one.account] = asyncio.create_task(self._tell(one))
        running[one.account].add_done_callback(partial(self._ended, one.channel, one.account))

    def _ended(self, channel: Channel, account: str, _: "asyncio.Task[None]") -> None:
        del self._running[channel][account]
        self._deliveries.bell.ring()

    async def stop(self) -> None:
        """Let what is under way end: its record must be written."""
        running = [task for tasks in self._running.values() for task in tasks.values()]
        if running:
            await asyncio.wait(running, timeout=25)

    async def _tell(self, due: Delivery) -> None:
        about = {"fact": due.fact, "channel": due.channel, "account": due.account, "job": due.job}
        try:
            mine = await self._deliveries.take(due.id)
            if mine is not None:
                outcome = await self._send(mine)
                TOLD.labels(due.channel.value, due.event_key, outcome.progress.value).inc()
                log.info("told", **about, progress=outcome.progress, tries=outcome.tries, problem=outcome.problem)
        except Exception:  # the lease brings it back; a task's exception would be lost
            TOLD.labels(due.channel.value, due.event_key, "error").inc()
            log.exception("telling broke off", **about)

    async def _send(self, mine: Delivery) -> Delivery:
        try:
            await self._senders[mine.channel](mine)
        except (Unsent, Refused) as problem:
            return await self._deliveries.failed(mine, str(problem), final=isinstance(problem, Refused))
        except Exception as problem:  # nobody foresaw it; its tries end all the same
            log.exception("telling failed", fact=mine.fact, channel=mine.channel, account=mine.account, job=mine.job)
            return await self._deliveries.failed(mine, repr(problem), final=False)
        await self._deliveries.sent(mine)
        return mine.to(Progress.SENT)
