"""Hot inboxes: messages are taken in batches, decided together, written once, announced together, acked.

One FastStream handler per message costs twice as much end to end; the wait for confirms is the path, so groups are large and two
of them are under way at once. The queue has a single active consumer: replicas are failover, conditional writes are the fence.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

from contracts.events import Event
from contracts.topology import Route, inbox
from services.chassis import metrics
from services.chassis.delivery import Received, deliveries_of, receive
from services.chassis.disposal import Disposal
from services.chassis.verdicts import Verdict, verdict

log = structlog.get_logger()
E = TypeVar("E", bound=Event)
BatchHandler = Callable[[list[Received[E]]], Awaitable[Sequence[BaseException | None]]]

LINGER_SECONDS = 0.005
GROUPS = 2
Pair = tuple[AbstractIncomingMessage, Received[Any]]


class BatchConsumer:
    """Of one hot inbox of one service."""

    def __init__(self, service: str, row: Route, handler: BatchHandler[Any], disposal: Disposal, most: int) -> None:
        self._service, self._row, self._handler, self._disposal, self._most = service, row, handler, disposal, most
        self._arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._groups = asyncio.Semaphore(GROUPS)
        self._running: set[asyncio.Task[None]] = set()
        self._queue: Any = None
        self._tag = ""

    async def start(self, connection: AbstractRobustConnection) -> None:
        """Begin to take. Raises aiormq's ChannelNotFoundEntity when the queue was never declared."""
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=self._most * GROUPS)
        self._queue = await channel.get_queue(inbox(self._service, self._row.event), ensure=True)
        if self._queue.declaration_result.message_count:
            self._disposal.doorkeeper.was_deaf()
        self._tag = await self._queue.consume(self._arrive)

    async def run(self) -> None:
        """For ever; cancelled at the end of the service."""
        while True:
            await self._groups.acquire()
            try:
                group = await self._collect()
            except BaseException:
                self._groups.release()
                raise
            task = asyncio.create_task(self._group(group))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            task.add_done_callback(lambda _: self._groups.release())

    async def stop(self) -> None:
        """Take no more and wait for the groups under way."""
        if self._queue is not None and not self._queue.channel.is_closed:
            await self._queue.cancel(self._tag)
        if self._running:
            await asyncio.wait(self._running, timeout=30)

    async def _arrive(self, message: AbstractIncomingMessage) -> None:
        if self._disposal.doorkeeper.admits(message, self._row):
            self._arrived.put_nowait(message)
        else:
            await self._disposal.drop(message)

    async def _collect(self) -> list[AbstractIncomingMessage]:
        group = [await self._arrived.get()]
        until = time.monotonic() + LINGER_SECONDS
        while len(group) < self._most:
            if not self._arrived.empty():
                group.append(self._arrived.get_nowait())
                continue
            left = until - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(min(left, 0.001))
        return group

    async def _group(self, group: list[AbstractIncomingMessage]) -> None:
        """A message seen more than twice is handled alone: it may be the one that brings the others down."""
        suspects = [message for message in group if deliveries_of(message) > 2]
        for message in suspects:
            await self._handle([message])
        await self._handle([message for message in group if deliveries_of(message) <= 2])

    async def _handle(self, group: list[AbstractIncomingMessage]) -> None:
        good: list[Pair] = []
        for message in group:
            if not self._disposal.doorkeeper.still_admits(message, self._row):
                self._later(self._disposal.drop(message))
                continue
            try:
                good.append((message, receive(message, self._row)))
            except Exception as problem:
                await self._disposal.dispose(message, self._row, problem)
        if good:
            await self._decide(good)

    def _later(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _decide(self, good: list[Pair]) -> None:
        began, key = time.perf_counter(), self._row.event.key()
        metrics.BATCH.labels(self._service, key).observe(len(good))
        lag = metrics.LAG.labels(self._service, key)
        for _, received in good:
            lag.observe(received.age_seconds)
        outcomes = await self._outcomes([received for _, received in good])
        metrics.HANDLING.labels(self._service, key).observe(time.perf_counter() - began)
        pairs = zip(good, outcomes, strict=True)
        await asyncio.gather(*(self._disposal.dispose(message, self._row, raised) for (message, _), raised in pairs))

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
