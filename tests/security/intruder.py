"""A hostile agent at the broker: a raw AMQP client with a real agent's credential, and the same client with too wide permissions.

Whoever it attacks is real as well: another agent let in by the scheduler's own code, services' inboxes, retries, dead letters.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import aiormq
import httpx
from aiormq.abc import AbstractChannel, AbstractConnection

from infra.local.farmfile import FarmFile
from infra.rabbitmq import definitions
from services.scheduler.broker import Broker, hashed
from tests.security.attacks import Attack
from tests.waiting import until

REFUSALS = (aiormq.AMQPError, ConnectionError, RuntimeError, asyncio.CancelledError)
"""How a refusal reaches this client: the channel or the connection is closed on it."""
SECONDS = 10


@dataclass(frozen=True)
class Somebody:
    name: str
    secret: str


class Stage:
    """`ann` attacks. Her name begins as the victim's does, whose mailbox and keys are attacked. `wide` is what ann would be with
    every permission there is: whatever she is refused must work for him, else the attack proves nothing."""

    def __init__(self, farm: FarmFile) -> None:
        self.farm, self.vhost = farm, f"test-{uuid4().hex[:10]}"
        token = uuid4().hex[:8]
        self.ann, self.victim = Somebody(f"ann-{token}", uuid4().hex), Somebody(f"ann-{token}0", uuid4().hex)
        self.wide = Somebody(f"wide-{token}", uuid4().hex)
        self._channels: dict[str, AbstractChannel] = {}
        self._connections: dict[str, AbstractConnection] = {}
        self.management = httpx.Client(
            base_url=farm.http("RABBIT_MANAGEMENT"), auth=farm.rabbit_admin, timeout=30, trust_env=False
        )

    def open(self) -> None:
        self._furnish()
        body = {"password": self.wide.secret, "tags": "impersonator,administrator"}
        self._put(f"users/{self.wide.name}", body)
        self._put(f"permissions/{self.vhost}/{self.wide.name}", {"configure": ".*", "write": ".*", "read": ".*"})

    def _furnish(self) -> None:
        """Everything there is, as the farm makes it."""
        place = self.farm.http("RABBIT_MANAGEMENT"), self.farm.rabbit_admin
        definitions.apply(*place, self.vhost, self.farm.service_passwords("AMQP"))
        broker = Broker(place[0], *place[1], self.vhost)
        for one in (self.ann, self.victim):
            broker.admit(one.name, hashed(one.secret, os.urandom(4)))
        broker.close()

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()
        for one in (self.ann, self.victim, self.wide):
            self.management.delete(f"/api/users/{one.name}")
        self.management.delete(f"/api/vhosts/{self.vhost}")
        self.management.close()

    def _put(self, path: str, body: dict[str, str]) -> None:
        self.management.put(f"/api/{path}", json=body).raise_for_status()

    def url(self, who: Somebody, vhost: str | None = None) -> str:
        return self.farm.amqp_url(who.name, who.secret, vhost or self.vhost)

    @asynccontextmanager
    async def channel(self, who: Somebody) -> AsyncIterator[AbstractChannel]:
        """One for itself: a refusal costs the channel."""
        channel = await (await self._connected(who)).channel(publisher_confirms=True)
        try:
            yield channel
        finally:
            with suppress(Exception, asyncio.CancelledError):
                await channel.close()

    async def _connected(self, who: Somebody) -> AbstractConnection:
        """On the same connection until it is refused. The broker counts a connection in one process and forgets it in another,
        side by side (rabbit_connection_tracking): of hundreds that end as soon as they began some are counted for ever."""
        if (kept := self._connections.get(who.name)) is None or kept.is_closed:
            self._connections[who.name] = await self._let_in(who)
        return self._connections[who.name]

    async def _let_in(self, who: Somebody) -> AbstractConnection:
        """An agent may have few connections, and the broker counts one for a moment after it was closed."""
        found: list[AbstractConnection] = []

        async def is_in() -> bool:
            with suppress(aiormq.exceptions.InvalidFrameError):  # so aiormq shows a connection that is closed before it is open
                found.append(await aiormq.connect(self.url(who)))
            return bool(found)

        await until(is_in, "the broker lets it in", SECONDS)
        return found[0]

    async def leave(self, who: Somebody) -> None:
        """Whatever it does next, it logs in first."""
        self._channels.pop(who.name, None)
        if (kept := self._connections.pop(who.name, None)) is not None:
            await kept.close()

    async def kept_channel(self, who: Somebody) -> AbstractChannel:
        """One that stays, for many calls that are not refused."""
        if (kept := self._channels.get(who.name)) is None or kept.is_closed:
            self._channels[who.name] = await (await self._connected(who)).channel(publisher_confirms=True)
        return self._channels[who.name]

    async def messages(self, queue: str) -> int:
        """Ready in a queue, by the broker's own word."""
        async with self.channel(self.wide) as channel:
            return int((await channel.queue_declare(queue, passive=True)).message_count or 0)


async def refusal(stage: Stage, who: Somebody, attack: Attack) -> str:
    """What the broker says to it; empty when it lets it happen."""
    try:
        async with stage.channel(who) as channel:
            await asyncio.wait_for(attack.run(channel, stage.ann.name, stage.victim.name), SECONDS)
    except REFUSALS as refused:
        return f"{type(refused).__name__}: {refused}"
    return ""
