"""Messages as they come off the wire, and their acks, many in one.

aio-pika wraps every message and runs a task for each, and acks each in a frame of its own; at hundreds of messages a second that
costs more than deciding on them, here and in the broker. This is the same on the channel below it: a subscription that is made
anew whenever the channel was, and acks that name the last of all those answered for.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol, cast

import structlog
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ChannelInvalidStateError

log = structlog.get_logger()
AGAIN_SECONDS, CANCEL_SECONDS = 1.0, 5.0
AWAY = (AMQPError, ChannelInvalidStateError, RuntimeError, ConnectionError, TimeoutError)


class Message(Protocol):
    """What inboxes need of a message; aio-pika's own ones have it too."""

    @property
    def body(self) -> bytes: ...
    @property
    def exchange(self) -> str | None: ...
    @property
    def routing_key(self) -> str | None: ...
    @property
    def redelivered(self) -> bool | None: ...
    @property
    def headers(self) -> dict[str, Any]: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def type(self) -> str | None: ...
    @property
    def timestamp(self) -> datetime | None: ...
    @property
    def correlation_id(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    async def ack(self) -> None: ...
    async def nack(self, *, requeue: bool = True) -> None: ...


class Answers:
    """Of one channel: which deliveries are answered for, told to the broker soon after."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open: dict[int, None] = {}
        self._done: list[int] = []
        self._telling: asyncio.Task[None] | None = None

    def is_of(self, channel: Channel) -> bool:
        """One for each channel: two of them would answer for each other's deliveries, and the broker ends a channel for that."""
        return self._channel is channel

    @property
    def is_gone(self) -> bool:
        """Nothing can be answered any more: the broker has everything back."""
        return self._channel.is_closed

    def came(self, tag: int) -> None:
        self._open[tag] = None

    def done(self, tag: int) -> None:
        self._open.pop(tag, None)
        self._done.append(tag)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def back(self, tag: int, requeue: bool) -> None:
        self._open.pop(tag, None)
        await self._channel.basic_nack(tag, requeue=requeue)

    async def told(self) -> None:
        """Returns when everything that is answered for is on its way."""
        if self._telling is not None:
            await asyncio.wait([self._telling])

    async def _tell(self) -> None:
        """A closed channel needs no answers: its messages return by themselves."""
        while self._done:
            done, self._done = self._done, []
            upto, single = split(done, next(iter(self._open), None))
            try:
                if upto is not None:
                    await self._channel.basic_ack(upto, multiple=True)
                for tag in single:
                    await self._channel.basic_ack(tag)
            except (AMQPError, ChannelInvalidStateError, RuntimeError, ConnectionError):
                log.info("messages return by themselves, the channel is gone", messages=len(done))
                return


def split(done: Iterable[int], first_open: int | None) -> tuple[int | None, list[int]]:
    """The tag up to which all are answered for, and those beyond a gap, which must be named one by one."""
    before = [tag for tag in done if first_open is None or tag < first_open]
    beyond = [tag for tag in done if first_open is not None and tag > first_open]
    return max(before, default=None), beyond


class Arrival:
    """One delivery."""

    __slots__ = ("_answers", "_properties", "body", "exchange", "headers", "redelivered", "routing_key", "tag")

    def __init__(self, delivered: DeliveredMessage, answers: Answers) -> None:
        self._answers, self._properties = answers, delivered.header.properties
        self.body, self.exchange, self.routing_key = delivered.body, delivered.exchange, delivered.routing_key
        self.redelivered, self.tag = delivered.redelivered, cast(int, delivered.delivery_tag)
        self.headers: dict[str, Any] = cast(dict[str, Any], self._properties.headers or {})

    @property
    def user_id(self) -> str | None:
        return self._properties.user_id

    @property
    def message_id(self) -> str | None:
        return self._properties.message_id

    @property
    def type(self) -> str | None:
        return self._properties.message_type

    @property
    def timestamp(self) -> datetime | None:
        at = self._properties.timestamp
        return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)

    @property
    def correlation_id(self) -> str | None:
        return self._properties.correlation_id

    @property
    def content_type(self) -> str | None:
        return self._properties.content_type

    @property
    def is_gone(self) -> bool:
        """It is the broker's again, and comes, or has come, once more; one that may be lost and has waited too long is lost."""
        return self._answers.is_gone

    async def ack(self) -> None:
        """Soon, together with others."""
        self._answers.done(self.tag)

    async def nack(self, *, requeue: bool = True) -> None:
        await self._answers.back(self.tag, requeue)


class Subscription:
    """To one queue; `came` is called with each message and must not wait."""

    def __init__(self, queue: str, prefetch: int, came: Callable[[Arrival], None]) -> None:
        self._queue, self._prefetch, self._came = queue, prefetch, came
        self._channel: AbstractRobustChannel | None = None
        self._answers: Answers | None = None
        self._is_stopped = False
        self._tag = ""
        self._again: asyncio.Task[None] | None = None

    async def start(self, connection: AbstractRobustConnection) -> int:
        """Begin to take; how many messages wait. Raises aiormq's ChannelNotFoundEntity when the queue was never declared."""
        self._channel = await connection.channel()
        await self._channel.set_qos(prefetch_count=self._prefetch)
        waiting = (await self._channel.get_queue(self._queue, ensure=True)).declaration_result.message_count
        await self._subscribe()
        self._channel.reopen_callbacks.add(self._reopened)
        return waiting or 0

    async def stop(self) -> None:
        """Take no more, also when the broker comes back; what has come may still be answered for."""
        self._is_stopped = True
        if self._again is not None:
            self._again.cancel()
        try:
            await self._cancel()
        except AWAY as away:
            log.info("subscription ends by itself", queue=self._queue, problem=repr(away)[:200])

    async def _cancel(self) -> None:
        if self._channel is not None and not self._channel.is_closed and self._answers is not None:
            channel = cast(Channel, await self._channel.get_underlay_channel())
            if self._tag in channel.consumers:
                await channel.basic_cancel(self._tag, timeout=CANCEL_SECONDS)

    async def told(self) -> None:
        if self._answers is not None:
            await self._answers.told()

    async def _subscribe(self) -> None:
        assert self._channel is not None
        channel = cast(Channel, await self._channel.get_underlay_channel())
        if self._answers is None or not self._answers.is_of(channel):
            self._answers = Answers(channel)
        answers = self._answers

        async def take(delivered: DeliveredMessage) -> None:
            arrival = Arrival(delivered, answers)
            answers.came(arrival.tag)
            self._came(arrival)

        channel.on_consumer_cancel_callbacks.add(self._cancelled)
        self._tag = cast(str, (await channel.basic_consume(self._queue, take)).consumer_tag)

    async def _reopened(self, *_: Any) -> None:
        self._subscribe_again()

    async def _cancelled(self, *_: Any) -> None:
        self._subscribe_again()

    def _subscribe_again(self) -> None:
        if not self._is_stopped and (self._again is None or self._again.done()):
            self._again = asyncio.create_task(self._until_subscribed())

    async def _until_subscribed(self) -> None:
        """The channel was made anew, or the broker has taken the queue from us (it was replaced)."""
        while True:
            try:
                return await self._subscribe()
            except AWAY as away:
                log.warning("not subscribed yet", queue=self._queue, problem=repr(away)[:200])
                await asyncio.sleep(AGAIN_SECONDS)
