"""Hears everything that is said on the bus, with its message id, also across the death of the broker.

A durable queue of its own: what was confirmed to its speaker is in it, so what is not heard here was never said.
"""

from collections import defaultdict
from typing import TypeVar

from aio_pika.abc import AbstractIncomingMessage

from contracts.bus import read
from contracts.events import Event
from contracts.topology import AGENT, AGENTS, BY_KEY, EVENTS, MAILBOXES
from tests.integration.world import World

E = TypeVar("E", bound=Event)
QUEUE = "tests.ear"


class Ear:
    def __init__(self, world: World) -> None:
        self._world = world
        self._facts: dict[str, Event] = {}
        """Message id → event; what comes twice under one id is one fact."""
        self._speakers: dict[str, str] = {}
        self._ids: dict[tuple[str, bytes], set[str]] = defaultdict(set)

    async def open(self, agents: list[str]) -> None:
        channel = await (await self._world.admin()).channel()
        queue = await channel.declare_queue(QUEUE, durable=True)
        for exchange in (EVENTS, AGENTS):
            await queue.bind(exchange, "#")
        for agent in agents:
            await queue.bind(MAILBOXES, agent)
        await queue.consume(self._take)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        key, id = str(message.type), str(message.message_id)
        self._facts[id] = read(key, message.body)
        self._speakers[id] = str(message.user_id)
        self._ids[key, message.body].add(id)
        await message.ack()

    def has(self, id: str) -> bool:
        return id in self._facts

    def said(self, event: type[E], **where: object) -> list[E]:
        """Facts of this type, each once, whose fields equal `where`."""
        found = (fact for fact in self._facts.values() if isinstance(fact, event))
        return [fact for fact in found if all(getattr(fact, name) == value for name, value in where.items())]

    def said_by(self, event: type[E], agent: str) -> list[E]:
        """What this agent said of this type, in order; who it was the broker knows."""
        said = (fact for id, fact in self._facts.items() if self._speakers[id] == agent)
        return [fact for fact in said if isinstance(fact, event)]

    def told_twice(self) -> list[str]:
        """Facts of services that went out under more than one message id. Answers that may be lost are made anew each time,
        and so are those in mailboxes; what agents say they may say again."""
        return [f"{key}: {body[:300]!r}" for (key, body), ids in self._ids.items() if len(ids) > 1 and _is_saved(key)]


def _is_saved(key: str) -> bool:
    row = BY_KEY[key]
    return row.publisher != AGENT and row.subscribers != (AGENT,) and not row.transient
