"""Looks at what the agents' connections bring into the broker, and puts into quarantine who burdens it."""

import asyncio

import structlog

from services.scheduler.broker import Broker
from services.scheduler.desk import Desk
from services.scheduler.domain import traffic
from services.scheduler.quarantine import Quarantine

log = structlog.get_logger()

LOOK_SECONDS = 5.0
"""As often as the broker counts."""


class Traffic:
    def __init__(self, desk: Desk, broker: Broker, quarantine: Quarantine) -> None:
        self._desk, self._broker, self._quarantine = desk, broker, quarantine
        self._loud: dict[str, int] = {}

    async def sweep(self) -> None:
        """Raises WorldAway when the broker cannot be asked."""
        if not self._quarantine.guards:
            return
        seen = traffic.by_user(await asyncio.to_thread(self._broker.traffic))
        self._loud = traffic.looked(self._loud, seen)
        guilty = traffic.habitual(self._loud)
        for agent in await self._desk.agents.read_many(guilty) if guilty else ():  # services may be as loud as they like
            log.warning("agent burdens the broker", agent=agent, bytes=seen[agent].bytes, packets=seen[agent].packets)
            await self._quarantine.put(agent, traffic.TOO_MUCH, int(max(seen[agent].bytes, seen[agent].packets)))
            self._loud.pop(agent, None)
