"""Hot inboxes: messages are taken in batches, decided together, written once, announced together, acked. And the others that
agents write to: off the wire in the same way, then each for itself, fifty at a time.

One FastStream handler per message costs twice as much end to end; the wait for confirms is the path, so groups are large and two
of them are under way at once. What may be lost is not urgent either, and lingers for a group worth its round trips. A hot queue
has a single active consumer: replicas are failover, conditional writes are the fence.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from aio_pika.abc import AbstractRobustConnection

from contracts.events import Event
from contracts.topology import AGENT, Route, inbox
from services.chassis import metrics
from services.chassis.arrivals import Arrival, Message, Subscription
from services.chassis.delivery import Received, deliveries_of, receive
from services.chassis.disposal import Disposal
from services.chassis.fair import SHARE, FairQueue
from services.chassis.verdicts import Verdict, verdict

log = structlog.get_logger()
E = TypeVar("E", bound=Event)
BatchHandler = Callable[[list[Received[E]]], Awaitable[Sequence[BaseException | None]]]

LINGER_SECONDS, TRANSIENT_LINGER_SECONDS = 0.005, 0.25
GROUPS, ALONE = 2, 50
"""Under way at once: of groups, and of messages that are groups of their own, so that one that waits for the world keeps no
other."""
AGENTS_AHEAD = 300
"""Messages that agents may be ahead of us in one inbox: what has been sent is read, if only to be thrown away. More than one may
say at once (conduct), so that a flood is noticed; less than keeps the others waiting."""
Pair = tuple[Message, Received[Any]]


class BatchConsumer:
    """Of one hot inbox of one service, or of one of its shards."""

    def __init__(
        self, service: str, row: Route, handler: BatchHandler[Any], disposal: Disposal, most: int, shard: int = 0
    ) -> None:
        self._service, self._row, self._handler, self._disposal = service, row, handler, disposal
        self._linger = _linger(row)
        self._arrived = FairQueue[Arrival](SHARE if row.publisher == AGENT else None)
        self._groups = asyncio.Semaphore(GROUPS if row.hot else ALONE)
        self._running: set[asyncio.Task[None]] = set()
        ahead = AGENTS_AHEAD if row.publisher == AGENT else most * GROUPS
        self._full = min(most, ahead // GROUPS)
        self._stopping = False
        self._subscription = Subscription(inbox(service, row.event, shard), ahead, self._arrive)

    async def start(self, connection: AbstractRobustConnection) -> None:
        """Begin to take. Raises aiormq's ChannelNotFoundEntity when the queue was never declared."""
        if await self._subscription.start(connection):
            self._disposal.doorkeeper.was_deaf()

    async def run(self) -> None:
        """For ever; cancelled at the end of the service."""
        while True:
            await self._groups.acquire()
            try:
                group = await self._collect()
            except BaseException:
                self._groups.release()
                raise
            if self._stopping:  # they were not looked at, and go to who comes next
                return
            task = asyncio.create_task(self._group(group))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            task.add_done_callback(lambda _: self._groups.release())

    async def stop(self) -> None:
        """Take no more and wait for the groups under way."""
        self._stopping = True
        try:
            await self._subscription.stop()
        finally:  # a connection that breaks meanwhile cancels what waits for it
            if self._running:
                await asyncio.wait(self._running, timeout=30)
            await self._disposal.settled()
            await self._subscription.told()

    def _arrive(self, message: Arrival) -> None:
        if self._disposal.doorkeeper.admits(message, self._row):
            self._arrived.put(message)
        else:
            self._disposal.drop(message)

    async def _collect(self) -> list[Arrival]:
        await self._arrived.some()
        if self._linger:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger):
                    await self._arrived.some(self._full)
        return [message for message in self._arrived.take(self._full) if not message.is_gone]

    async def _group(self, group: Sequence[Message]) -> None:
        """A message seen more than twice is handled alone: it may be the one that brings the others down."""
        suspects = [message for message in group if deliveries_of(message) > 2]
        for message in suspects:
            await self._handle([message])
        await self._handle([message for message in group if deliveries_of(message) <= 2])

    async def _handle(self, group: Sequence[Message]) -> None:
        good: list[Pair] = []
        for message in group:
            if not self._disposal.doorkeeper.still_admits(message, self._row):
                self._disposal.drop(message)
                continue
            try:
                good.append((message, receive(message, self._row)))
            except Exception as problem:
                await self._disposal.dispose(message, self._row, problem)
        if good:
            await self._decide(good)

    async def _decide(self, good: list[Pair]) -> None:
        began, key = time.perf_counter(), self._row.event.key()
        metrics.BATCH.labels(self._service, key).observe(len(good))
        lag = metrics.LAG.labels(self._service, key)
        for _, received in good:
            lag.observe(received.age_seconds)
        outcomes = await self._outcomes([received for _, received in good])
        metrics.HANDLING.labels(self._service, key).observe(time.perf_counter() - began)
        await self._dispose(good, outcomes)

    async def _dispose(self, good: Sequence[Pair], outcomes: Sequence[BaseException | None]) -> None:
        """Acks wait for nothing; what must be moved first waits for its confirms together."""
        judged = [(message, raised) for (message, _), raised in zip(good, outcomes, strict=True)]
        await self._disposal.done([message for message, raised in judged if raised is None], self._row)
        wrong = [self._disposal.dispose(message, self._row, raised) for message, raised in judged if raised is not None]
        await asyncio.gather(*wrong)

    async def _outcomes(self, batch: list[Received[Any]]) -> Sequence[BaseException | None]:
        """The handler's; while the world is away, wait and try the same batch again: the consumer stops taking."""
        wait = 0.5
        while True:
            try:
                return await self._handler(batch)
            except Exception as problem:
                if verdict(problem) is Verdict.WORLD:
                    log.warning("waiting for the world", event_key=self._row.event.key(), problem=repr(problem)[:300])
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, 10)
                    self._disposal.doorkeeper.was_deaf()
                elif len(batch) > 1:
                    return [(await self._outcomes([one]))[0] for one in batch]
                else:
                    return [problem]


def _linger(row: Route) -> float:
    """Seconds in which a group gathers; what is a group of its own waits for nobody."""
    if not row.hot:
        return 0.0
    return TRANSIENT_LINGER_SECONDS if row.transient else LINGER_SECONDS
