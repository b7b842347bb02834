"""Hears what is said on the bus, with the time it came."""

import time
from dataclasses import dataclass
from typing import TypeVar

from aio_pika.abc import AbstractIncomingMessage

from contracts.bus import read
from contracts.events import Event
from contracts.topology import exchange, route
from tests.integration.world import World

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Heard:
    """`at` is wall clock, as spans have it."""

    at: float
    event: Event


class Ear:
    """Of these events only: an ear on everything would take part in what is measured."""

    def __init__(self, world: World, *events: type[Event]) -> None:
        self._world, self._events = world, events
        self.heard: list[Heard] = []

    async def open(self) -> None:
        channel = await (await self._world.admin()).channel()
        queue = await channel.declare_queue(exclusive=True)
        for event in self._events:
            key = f"*.{event.key()}" if route(event).publisher == "agent" else event.key()
            await queue.bind(await channel.get_exchange(exchange(event), ensure=False), key)
        await queue.consume(self._take, no_ack=True)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        self.heard.append(Heard(time.time(), read(str(message.type), message.body)))

    def of(self, event: type[E], **where: object) -> list[tuple[float, E]]:
        """(when, what) of this type with these fields."""
        return [
            (one.at, one.event)
            for one in self.heard
            if isinstance(one.event, event) and all(getattr(one.event, name) == value for name, value in where.items())
        ]
