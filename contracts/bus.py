"""How an event travels: the envelope, the connection, the announcement. aio-pika only, so that the agent stays light.

The body is the fact. The envelope is AMQP's own: message id, type, timestamp, correlation id (the job), user id, trace context in
the headers. It is stamped in this one place. Everything that matters is persistent, mandatory and confirmed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aio_pika
import uuid6
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractRobustConnection
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError
from pydantic import ValidationError

from contracts.events import Event
from contracts.topology import AGENT, BY_KEY, exchange, route

CONFIRM_SECONDS = 10
"""A confirm that takes longer is treated as lost; publishing again is harmless, consumers are idempotent."""


class NotAnnounced(Exception):
    """The broker did not confirm: away, the queue full, or nobody listening. Try again later."""


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

    def message(self, sender: str) -> aio_pika.Message:
        row = route(type(self.event))
        return aio_pika.Message(
            self.event.model_dump_json(exclude_none=True).encode(),
            message_id=self.id,
            type=self.event.key(),
            timestamp=datetime.now(UTC),
            correlation_id=self.event.correlation,
            user_id=sender,
            content_type="application/json",
            headers=dict(self.trace),
            expiration=row.ttl_seconds,
            delivery_mode=aio_pika.DeliveryMode.NOT_PERSISTENT if row.transient else aio_pika.DeliveryMode.PERSISTENT,
        )


async def connect(url: str, name: str) -> AbstractRobustConnection:
    """A connection that comes back by itself after a broken link, a second after the broker is there again.

    Raises aiormq's AMQPConnectionError when the broker cannot be reached now.
    """
    return await aio_pika.connect_robust(url, client_properties={"connection_name": name}, reconnect_interval=1, timeout=10)


class Announcer:
    """Publishes events as one user on a channel of its own. Safe for concurrent use; order is not promised."""

    def __init__(self, connection: AbstractRobustConnection, sender: str) -> None:
        self._connection = connection
        self._sender = sender
        self._channel: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._opening = asyncio.Lock()

    async def announce(self, announcement: Announcement) -> None:
        """Returns when the broker has confirmed. Raises NotAnnounced otherwise; then nothing is known for sure."""
        name = exchange(type(announcement.event))
        await self.publish(name, announcement.routing_key(self._sender), announcement.message(self._sender))

    async def publish(self, exchange_name: str, routing_key: str, message: aio_pika.Message) -> None:
        """As `announce`, for messages that are moved, not made: retries and dead letters."""
        try:
            target = await self._exchange(exchange_name)
            await target.publish(message, routing_key, mandatory=True, timeout=CONFIRM_SECONDS)
        except (PublishError, DeliveryError) as refused:
            raise NotAnnounced(f"{routing_key}: {type(refused).__name__}") from refused
        except (AMQPError, ChannelInvalidStateError, ConnectionError, RuntimeError, TimeoutError) as lost:
            raise NotAnnounced(f"{routing_key}: broker away ({type(lost).__name__})") from lost

    async def _exchange(self, name: str) -> AbstractExchange:
        async with self._opening:
            if name not in self._exchanges:
                channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
                for known in {name, *self._exchanges}:
                    self._exchanges[known] = (
                        await channel.get_exchange(known, ensure=False) if known else channel.default_exchange
                    )
            return self._exchanges[name]


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
