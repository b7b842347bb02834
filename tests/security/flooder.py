"""A hostile agent as a program of its own: with its real credential it says as much as the broker takes, for so many seconds.

    python -m tests.security.flooder URL AGENT KIND SECONDS LONGEST

Two connections, four channels, no confirms. Cut off it tries to log in again and again. It goes on for so many seconds, and until
it was cut off, but not beyond the longest. Says when it is ready and begins when told to, so that its own start burdens nobody;
prints a line of JSON at the end.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection, ChannelFrame, DeliveredMessage
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from contracts.bus import new_id
from contracts.events import AgentReady, BundleRequested, ChunkFailed, Event
from contracts.topology import AGENT_LIMITS, AGENTS, mailbox
from contracts.values import Hardware

CONNECTIONS, CHANNELS = AGENT_LIMITS["max-connections"], 2
TOGETHER = 20
"""Messages in one write, made once: what it costs the flooder is taken from the others, who share this machine with it."""


KINDS = ("valid", "broken", "for-storage", "transaction", "expired", "given-back")
"""Of the last three nothing ever arrives in an inbox: transactions without end, messages that expire at once, its own mailbox's
message handed back again and again."""


@dataclass
class Told:
    """`said`: handed to the network, where much of it stays when the broker closes the door. `cut_after`: seconds from its start,
    its login included, until the broker threw it out, if it did; `logins`: how often it came in."""

    said: int = 0
    cut_after: float | None = None
    logins: int = 0
    refused: int = 0
    began: float = field(default_factory=time.monotonic)


def messages(kind: str) -> Iterator[tuple[type[Event], bytes]]:
    """What the agent floods with."""
    run = new_id()
    hardware = Hardware(cores=1, memory_bytes=1 << 30, system="hostile")
    valid = AgentReady(run=run, slots=0, hardware=hardware).model_dump_json().encode()
    while True:
        if kind == "valid":
            yield AgentReady, valid
        elif kind == "for-storage":
            yield BundleRequested, b'{"grant": "none"}'
        else:
            yield AgentReady, b"{broken"
            yield ChunkFailed, b"[]"


def packed(channel: int, agent: str, kind: str) -> bytes:
    """So many of its messages as they go over the wire."""
    expires = "0" if kind == "expired" else None
    frames: list[Any] = []
    for event, body in islice(messages(kind), TOGETHER):
        envelope = Basic.Properties(user_id=agent, delivery_mode=2, message_type=event.key(), expiration=expires)
        frames.append(Basic.Publish(exchange=AGENTS, routing_key=f"{agent}.{event.key()}"))
        frames += [ContentHeader(properties=envelope, body_size=len(body)), ContentBody(body)]
    return ChannelFrame.marshall(channel, frames).payload


class Flooder:
    def __init__(self, url: str, agent: str, kind: str, seconds: float, longest: float) -> None:
        self._url, self._agent, self._kind = url, agent, kind
        self.told = Told()
        self._ends, self._must_end = self.told.began + seconds, self.told.began + longest

    def _is_over(self) -> bool:
        now = time.monotonic()
        return now > self._must_end or (now > self._ends and self.told.cut_after is not None)

    async def run(self) -> Told:
        while not self._is_over():
            connections: list[AbstractConnection] = []
            try:
                channels = await self._channels(connections)
                self.told.logins += 1
                await asyncio.gather(*(self._flood(channel) for channel in channels))
            except (aiormq.AMQPError, ConnectionError, OSError, RuntimeError, asyncio.CancelledError):
                self._was_cut()
            for connection in connections:
                with suppress(Exception, asyncio.CancelledError):
                    await connection.close()
            await asyncio.sleep(0.05)
        return self.told

    async def _channels(self, connections: list[AbstractConnection]) -> list[AbstractChannel]:
        """Of as many connections as it gets: the broker may still count one that has gone. Raises when it gets none."""
        channels: list[AbstractChannel] = []
        for _ in range(CONNECTIONS):
            try:
                connections.append(await aiormq.connect(self._url))
            except (aiormq.AMQPError, ConnectionError, OSError, RuntimeError, asyncio.CancelledError):
                if not channels:
                    raise
                return channels
            channels += [await connections[-1].channel(publisher_confirms=False) for _ in range(CHANNELS)]
        return channels

    async def _flood(self, channel: AbstractChannel) -> None:
        if self._kind == "given-back":
            return await self._give_back(channel)
        if self._kind == "transaction":
            await channel.tx_select()
        payload = packed(channel.number, self._agent, self._kind)
        while not self._is_over():
            written = asyncio.get_running_loop().create_future()
            await channel.connection.write_queue.put(ChannelFrame(payload, should_close=False, drain_future=written))
            await asyncio.wait({written, channel.connection.closing}, return_when=asyncio.FIRST_COMPLETED)
            if channel.is_closed or channel.connection.is_closed:
                raise ConnectionError("cut off")
            self.told.said += TOGETHER

    async def _give_back(self, channel: AbstractChannel) -> None:
        async def back(message: DeliveredMessage) -> None:
            assert message.delivery_tag is not None
            await channel.basic_reject(message.delivery_tag, requeue=True)
            self.told.said += 1

        await channel.basic_consume(mailbox(self._agent), back)
        while not self._is_over():
            await asyncio.sleep(0.1)
            if channel.is_closed:
                raise ConnectionError("cut off")

    def _was_cut(self) -> None:
        self.told.refused += 1
        if self.told.cut_after is None and self.told.logins:
            self.told.cut_after = time.monotonic() - self.told.began


async def main(url: str, agent: str, kind: str, seconds: str, longest: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    told = await Flooder(url, agent, kind, float(seconds), float(longest)).run()
    print(json.dumps(asdict(told)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
