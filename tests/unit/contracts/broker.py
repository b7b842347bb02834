"""A connection to a broker of plain memory, which reads the bytes written to its channel and answers as RabbitMQ does."""

import asyncio
from typing import Any, cast

from aiormq.abc import ChannelFrame
from aiormq.exceptions import ChannelPreconditionFailed
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from contracts.bus import Announcer
from contracts.topology import MAX_MESSAGE_BYTES


class Broker:
    """Too large a body closes the channel: all that wait on it are told so, and what comes behind is not looked at."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        """Message ids."""
        self.closed = 0
        self._channel = Channel(self)

    def announcer(self, sender: str = "intake") -> Announcer:
        return Announcer(cast(Any, self), sender)

    async def channel(self, **_: Any) -> "Broker":
        return self

    is_closed = False

    async def get_underlay_channel(self) -> "Channel":
        """A new one is opened in the place of one that was closed."""
        if self._channel.is_closed:
            self._channel = Channel(self)
        return self._channel


class Channel:
    """What `contracts.post` needs of aiormq's."""

    number = 1
    max_content_size = 131_064

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.is_closed = False
        self.lock = asyncio.Lock()
        self.delivery_tag = 0
        self.message_id_delivery_tag: dict[str, int] = {}
        self.confirmations: dict[int, asyncio.Future[Any]] = {}
        self._answering: asyncio.Task[None] | None = None

    @property
    def write_queue(self) -> "Channel":
        return self

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().create_future()

    async def put(self, piece: ChannelFrame) -> None:
        self._answering = asyncio.create_task(self._answer(piece.payload))

    async def _answer(self, payload: bytes) -> None:
        """In order, when all of the piece is written and counted."""
        for id, size in read(payload):
            if size > MAX_MESSAGE_BYTES:
                self.is_closed = True
                self._broker.closed += 1
                break
            self._broker.heard.append(id)
        for confirm in self.confirmations.values():
            if self.is_closed and not confirm.done():
                confirm.set_exception(ChannelPreconditionFailed("message size is larger than configured max size"))
            elif not confirm.done():
                confirm.set_result(spec.Basic.Ack())


def read(payload: bytes) -> list[tuple[str, int]]:
    """Each message's id and the size of its body."""
    found: list[tuple[str, int]] = []
    while payload:
        consumed, _, frame = unmarshal(payload)
        payload = payload[consumed:]
        if isinstance(frame, ContentHeader):
            found.append((str(frame.properties.message_id), 0))
        elif isinstance(frame, ContentBody):
            found[-1] = (found[-1][0], found[-1][1] + len(frame.value))
    return found
