"""Many messages published together: one piece of bytes to the broker, one wait for all its confirms.

aiormq publishes one message at a time under its channel's lock, which costs several turns of the event loop each. Here the same
frames of many messages go out in one write; their confirms are awaited in the channel's own table, so that refusals, returns and
a channel that closes end them as they do any other.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.frame import marshal
from pamqp.header import ContentHeader

TOGETHER = 50
"""Messages to one piece: what is written at once should not keep other channels of the connection waiting."""


@dataclass(frozen=True)
class Letter:
    """A message with its address. Its properties must hold a message id: the broker returns by it what it cannot deliver."""

    exchange: str
    routing_key: str
    body: bytes
    properties: spec.Basic.Properties


async def post(channel: Channel, letters: Sequence[Letter]) -> list["asyncio.Future[Any]"]:
    """Publishes mandatory messages on a channel with publisher confirms; the futures end with the broker's word on each. Raises
    what aiormq raises when the channel is closed."""
    confirms: list[asyncio.Future[Any]] = []
    for at in range(0, len(letters), TOGETHER):
        async with channel.lock:
            confirms += await _post(channel, letters[at : at + TOGETHER])
    return confirms


async def _post(channel: Channel, letters: Sequence[Letter]) -> list["asyncio.Future[Any]"]:
    """Under the channel's lock, since the broker counts what it gets in the order it gets it. Counted is what was written: nobody
    else runs between the two, and a write that was cancelled while it waited leaves no number behind."""
    payload = b"".join(_frames(channel, letter) for letter in letters)
    await channel.write_queue.put(ChannelFrame(payload=payload, should_close=False, drain_future=None))
    return [_expected(channel, str(letter.properties.message_id)) for letter in letters]


def _expected(channel: Channel, message: str) -> "asyncio.Future[Any]":
    """The broker's word on the next message in turn. What it cannot deliver it returns by the message id."""
    channel.delivery_tag += 1
    tag, known, confirm = channel.delivery_tag, channel.message_id_delivery_tag, channel.create_future()
    channel.confirmations[tag] = confirm
    known[message] = tag

    def forget(_: "asyncio.Future[Any]") -> None:
        if known.get(message) == tag:
            del known[message]

    confirm.add_done_callback(forget)
    return confirm


def _frames(channel: Channel, letter: Letter) -> bytes:
    address = spec.Basic.Publish(exchange=letter.exchange, routing_key=letter.routing_key, mandatory=True)
    header = ContentHeader(properties=letter.properties, body_size=len(letter.body))
    size = channel.max_content_size
    parts = [letter.body[at : at + size] for at in range(0, len(letter.body), size)]
    content = b"".join(marshal(ContentBody(part), channel.number) for part in parts)
    return marshal(address, channel.number) + marshal(header, channel.number) + content
