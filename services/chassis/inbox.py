"""The inboxes of one service: one by one through FastStream, or in batches for the hot ones and those that agents write to.

A handler gets facts whose sender is proven, says nothing about acks, and raises what is wrong; the verdict table does the rest.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

from aio_pika.abc import AbstractIncomingMessage
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue, RabbitRouter
from faststream.rabbit.utils import RabbitClientProperties
from opentelemetry.trace import SpanKind

from contracts.events import Event
from contracts.topology import AGENT, Route, inbox, route
from services.chassis import metrics, traces
from services.chassis.batches import BatchConsumer, BatchHandler
from services.chassis.delivery import Received, receive
from services.chassis.disposal import Disposal
from services.chassis.logs import ids
from services.chassis.verdicts import Verdict, verdict

E = TypeVar("E", bound=Event)
Handler = Callable[[E], Awaitable[None]]
AgentHandler = Callable[[str, E], Awaitable[None]]

PREFETCH = 50
WAIT_FOR_WORLD = (0.5, 1, 2, 5, 10)


class Inboxes:
    """Filled by a service's `routes()`; started by the chassis. `taken`: what was subscribed, to be compared with ROUTES. What is
    spread over shards is taken from this `shard`'s inboxes."""

    def __init__(self, service: str, shard: int = 0) -> None:
        self.service, self.shard = service, shard
        self.router = RabbitRouter()
        self.batches: list[tuple[Route, BatchHandler[Any], int]] = []
        self.taken: set[type[Event]] = set()
        self._disposal: Disposal | None = None

    def on(self, event: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Decorates `async def on_frames_sealed(event)`: one message at a time, from a service or an agent's good grant."""

        def register(handler: Handler[E]) -> Handler[E]:
            self._subscribe(event, lambda received: handler(received.event))
            return handler

        return register

    def on_agent(self, event: type[E]) -> Callable[[AgentHandler[E]], AgentHandler[E]]:
        """Decorates `async def on_chunk_failed(agent, event)`; `agent` is the authenticated id, never one from a body."""

        def register(handler: AgentHandler[E]) -> AgentHandler[E]:
            self._subscribe(event, lambda received: handler(received.sender, received.event))
            return handler

        return register

    def in_batches(self, event: type[E], most: int = 500) -> Callable[[BatchHandler[E]], BatchHandler[E]]:
        """Decorates `async def on_frames_stored(batch) -> outcomes`: one outcome per message, None or the exception that says
        what is wrong with it. Raising judges the whole batch."""

        def register(handler: BatchHandler[E]) -> BatchHandler[E]:
            self._take(event)
            self.batches.append((route(event), handler, most))
            return handler

        return register

    def _take(self, event: type[Event]) -> None:
        if event in self.taken:
            raise ValueError(f"{self.service} takes {event.__name__} twice")
        self.taken.add(event)
        for outcome in Verdict:  # from 0 on: the first fault must be seen as a step
            metrics.MESSAGES.labels(self.service, event.key(), outcome.value)

    def _subscribe(self, event: type[Event], handle: Callable[[Received[Any]], Awaitable[None]]) -> None:
        self._take(event)
        row = route(event)
        if row.publisher == AGENT:
            self.batches.append((row, self._alone(row, handle), 1))
            return
        queue = RabbitQueue(inbox(self.service, event), durable=True, declare=False)

        async def consume(message: RabbitMessage) -> None:
            await self._one(message.raw_message, row, handle)

        self.router.subscriber(queue, decoder=_undecoded, no_reply=True, ack_policy=AckPolicy.MANUAL)(consume)

    def _alone(self, row: Route, handle: Callable[[Received[Any]], Awaitable[None]]) -> BatchHandler[Any]:
        """For groups of one, as which the messages of agents come off the wire: what a flood leaves costs no more than a look."""

        async def handled(batch: list[Received[Any]]) -> list[BaseException | None]:
            (received,) = batch
            try:
                await self._handled(received, row, handle)
            except Exception as problem:
                return [problem]
            return [None]

        return handled

    async def _one(
        self, message: AbstractIncomingMessage, row: Route, handle: Callable[[Received[Any]], Awaitable[None]]
    ) -> None:
        assert self._disposal is not None, "inboxes are started before they are consumed"
        began, raised = time.perf_counter(), None
        try:
            received = receive(message, row)
            metrics.LAG.labels(self.service, row.event.key()).observe(received.age_seconds)
            await self._handled(received, row, handle)
        except Exception as problem:  # every problem gets its verdict, none may end the consumer
            raised = problem
        metrics.HANDLING.labels(self.service, row.event.key()).observe(time.perf_counter() - began)
        await self._disposal.dispose(message, row, raised)

    async def _handled(self, received: Received[Any], row: Route, handle: Callable[[Received[Any]], Awaitable[None]]) -> None:
        """Once for a service's message; for an agent's, again and again while the world is away: it is not the agent's ladder
        that should fill with our outage."""
        waits = iter((*WAIT_FOR_WORLD, *[WAIT_FOR_WORLD[-1]] * 60) if row.publisher == AGENT else ())
        while True:
            try:
                with self._span(received, row):
                    return await handle(received)
            except Exception as problem:
                wait = next(waits, None)
                if verdict(problem) is not Verdict.WORLD or wait is None:
                    raise
                await asyncio.sleep(wait)
                if self._disposal is not None:
                    self._disposal.doorkeeper.was_deaf()

    def _span(self, received: Received[Any], row: Route) -> AbstractContextManager[object]:
        """What is said every second about nothing in particular would only push real traces out."""
        if row.transient and not received.trace:
            return nullcontext()
        return traces.span(f"{self.service} {row.event.key()}", ids(received.event), received.trace, SpanKind.CONSUMER)

    def broker(self, url: str, disposal: Disposal) -> RabbitBroker:
        """The FastStream broker over these inboxes; queues are ours already, nothing is declared."""
        self._disposal = disposal
        broker = RabbitBroker(
            url,
            reconnect_interval=1,
            graceful_timeout=30,
            apply_types=False,
            default_channel=Channel(prefetch_count=PREFETCH, on_return_raises=True),
            client_properties=_named(f"{self.service} inboxes"),
            logger=None,
        )
        broker.include_router(self.router)
        return broker

    def consumers(self, disposal: Disposal) -> Sequence[BatchConsumer]:
        return [BatchConsumer(self.service, row, handler, disposal, most, self.shard) for row, handler, most in self.batches]


async def _undecoded(message: Any) -> Any:
    """The handler wants the message itself; decoding is part of the verdict."""
    return message


def _named(name: str) -> RabbitClientProperties:
    """FastStream's type lists only some of AMQP's properties; the name is the one operators look for."""
    return cast(RabbitClientProperties, {"connection_name": name})
