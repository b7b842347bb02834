"""How an event travels: the envelope, the connection, the announcement. aio-pika only, so that the agent stays light.

The body is the fact. The envelope is AMQP's own: message id, type, timestamp, correlation id (the job), user id, trace context in
the headers. It is stamped in this one place. Everything that matters is persistent, mandatory and confirmed.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import aio_pika
import uuid6
from aio_pika.abc import AbstractChannel, AbstractRobustConnection
from aio_pika.connection import make_url
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError
from pamqp import commands as spec
from pydantic import ValidationError

from contracts import wire
from contracts.events import Event
from contracts.post import Letter, post
from contracts.topology import AGENT, BY_KEY, MAX_MESSAGE_BYTES, exchange, route

wire.take_pamqps_place()
log = logging.getLogger(__name__)
PERSISTENT, TRANSIENT = 2, 1
CONNECT_SECONDS = 10
CONFIRM_SECONDS = 10
"""A confirm that takes longer is treated as lost; publishing again is harmless, consumers are idempotent."""


class NotAnnounced(Exception):
    """The broker did not confirm: away, the queue full, or nobody listening. Try again later."""


class BrokerAway(NotAnnounced):
    """Nobody answered: what else is to be said fares no better now."""


class TooLarge(NotAnnounced):
    """No broker of ours takes a body of this size, today or later: trying again is of no use."""


class NotAnEvent(Exception):
    """The body is not the event its key promises; the text says what is wrong with it."""


def new_id() -> str:
    """A UUIDv7: unique, and sorted by its time of making."""
    return str(uuid6.uuid7())


@dataclass(frozen=True)
class Announcement:
    """An event with its envelope, ready to be published as often as it takes under one message id.

    `trace` is the W3C trace context.
    """

    event: Event
    id: str = field(default_factory=new_id)
    trace: Mapping[str, str] = field(default_factory=dict)

    def routing_key(self, sender: str) -> str:
        row = route(type(self.event))
        if row.subscribers == (AGENT,):
            if self.event.addressee is None:
                raise ValueError(f"{type(self.event).__name__} goes to a mailbox: whose?")
            return self.event.addressee
        return f"{sender}.{self.event.key()}" if row.publisher == AGENT else self.event.key()

    def letter(self, sender: str) -> Letter:
        body = self.event.model_dump_json(exclude_none=True).encode()
        return Letter(exchange(type(self.event)), self.routing_key(sender), body, self.properties(sender))

    def properties(self, sender: str) -> spec.Basic.Properties:
        row = route(type(self.event))
        return spec.Basic.Properties(
            message_id=self.id,
            message_type=self.event.key(),
            timestamp=datetime.now(UTC),
            correlation_id=self.event.correlation,
            user_id=sender,
            content_type="application/json",
            headers=dict(self.trace),
            expiration=None if row.ttl_seconds is None else str(row.ttl_seconds * 1000),
            delivery_mode=TRANSIENT if row.transient else PERSISTENT,
        )

    def message(self, sender: str) -> aio_pika.Message:
        """The same for aio-pika's own exchanges."""
        stamps = self.properties(sender)
        return aio_pika.Message(
            self.event.model_dump_json(exclude_none=True).encode(),
            message_id=stamps.message_id,
            type=stamps.message_type,
            timestamp=stamps.timestamp,
            correlation_id=stamps.correlation_id,
            user_id=stamps.user_id,
            content_type=stamps.content_type,
            headers=dict(self.trace),
            expiration=route(type(self.event)).ttl_seconds,
            delivery_mode=stamps.delivery_mode,
        )


async def connect(url: str, name: str) -> AbstractRobustConnection:
    """A connection that comes back by itself after a broken link, a second after the broker is there again.

    Raises aiormq's AMQPConnectionError when the broker cannot be reached now; nothing of the attempt is left then.
    """
    connection = aio_pika.RobustConnection(make_url(url), client_properties={"connection_name": name}, reconnect_interval=1)
    try:
        await connection.connect(timeout=CONNECT_SECONDS)
    except BaseException:
        await connection.close()
        raise
    return connection


class Announcer:
    """Publishes events as one user on a channel of its own. Safe for concurrent use; order is not promised."""

    def __init__(self, connection: AbstractRobustConnection, sender: str) -> None:
        self._connection = connection
        self._sender = sender
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    async def announce(self, announcement: Announcement) -> None:
        """Returns when the broker has confirmed. Raises NotAnnounced otherwise; then nothing is known for sure."""
        for away in await self.announce_all([announcement]):
            if away is not None:
                raise away

    async def announce_all(self, announcements: Sequence[Announcement]) -> list[NotAnnounced | None]:
        """Together: one outcome each, None for what the broker has confirmed. A full mailbox is no other's affair."""
        return await self._publish([one.letter(self._sender) for one in announcements])

    async def publish(self, exchange_name: str, routing_key: str, message: aio_pika.Message) -> None:
        """As `announce`, for messages that are moved, not made: retries and dead letters."""
        for away in await self._publish([Letter(exchange_name, routing_key, message.body, message.properties)]):
            if away is not None:
                raise away

    async def _publish(self, letters: Sequence[Letter]) -> list[NotAnnounced | None]:
        """What is too large is not written at all: the broker would close the channel, and with it end what all others said."""
        found = [_too_large(letter) for letter in letters]
        posted = iter(await self._posted([letter for letter, large in zip(letters, found, strict=True) if large is None]))
        return [next(posted) if large is None else large for large in found]

    async def _posted(self, letters: Sequence[Letter]) -> list[NotAnnounced | None]:
        if not letters:
            return []
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                confirms = await post(await self._underlay(), letters)
        except (AMQPError, ChannelInvalidStateError, ConnectionError, RuntimeError, TimeoutError) as lost:
            return [_not_announced(letter, lost) for letter in letters]
        await asyncio.wait(confirms, timeout=CONFIRM_SECONDS)
        return [_outcome(letter, confirm) for letter, confirm in zip(letters, confirms, strict=True)]

    async def _underlay(self) -> Channel:
        """The channel itself; after a broken link the one that was opened in its place."""
        async with self._opening:
            if self._channel is None:
                self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        if self._channel.is_closed:
            raise ChannelInvalidStateError("closed")
        return cast(Channel, await self._channel.get_underlay_channel())


def _too_large(letter: Letter) -> TooLarge | None:
    """The broker counts the body alone, not what stands in its properties."""
    size, said = len(letter.body), letter.properties
    if size <= MAX_MESSAGE_BYTES:
        return None
    log.error("too large: %s of %d bytes, message %s of %s", said.message_type, size, said.message_id, said.correlation_id)
    return TooLarge(f"{letter.routing_key}: too large ({size} bytes, at most {MAX_MESSAGE_BYTES})")


def _outcome(letter: Letter, confirm: "asyncio.Future[Any]") -> NotAnnounced | None:
    if not confirm.done():
        confirm.cancel()
        return _not_announced(letter, TimeoutError())
    if confirm.cancelled():
        return _not_announced(letter, ConnectionError())
    refused = confirm.exception()
    return None if refused is None else _not_announced(letter, refused)


def _not_announced(letter: Letter, why: BaseException) -> NotAnnounced:
    if isinstance(why, PublishError | DeliveryError):
        return NotAnnounced(f"{letter.routing_key}: {type(why).__name__}")
    return BrokerAway(f"{letter.routing_key}: broker away ({type(why).__name__})")


def read(key: str, body: bytes) -> Event:
    """The event under this key. Raises NotAnEvent for an unknown key, a body that is not its JSON, or values out of range."""
    row = BY_KEY.get(key)
    if row is None:
        raise NotAnEvent(f"no event has the key {key[:100]!r}")
    try:
        return row.event.model_validate_json(body)
    except ValidationError as wrong:
        raise NotAnEvent(_in_words(wrong.errors(include_url=False, include_input=False))) from None


def _in_words(errors: list[Any]) -> str:
    """At most three places, without the sender's input: it may be huge, or a secret."""
    return "; ".join(f"{'.'.join(map(str, err['loc']))[:100]}: {err['msg'][:200]}" for err in errors[:3])
