"""Looks at what the agents' connections bring into the broker, and puts into quarantine who burdens it."""

import asyncio

import structlog

from contracts.topology import MAILBOX_LENGTH
from services.scheduler.broker import Broker
from services.scheduler.desk import Desk
from services.scheduler.domain import traffic
from services.scheduler.quarantine import Quarantine

log = structlog.get_logger()

LOOK_SECONDS = 2.5
"""Twice as often as the broker counts: a flood that fills its memory is to be seen before it has."""
MAILBOX_SECONDS = 20.0
"""To ask for all queues costs the broker more."""
MOST_UNANSWERED = 2 * MAILBOX_LENGTH
"""Messages; an agent of ours takes 32 at a time."""


class Traffic:
    def __init__(self, desk: Desk, broker: Broker, quarantine: Quarantine) -> None:
        self._desk, self._broker, self._quarantine = desk, broker, quarantine
        self._watch = traffic.Watch()

    async def sweep(self) -> None:
        """Raises WorldAway when the broker cannot be asked."""
        if not self._quarantine.guards:
            return
        counted = await asyncio.to_thread(self._broker.traffic)
        self._watch = traffic.looked(self._watch, counted, await self._desk.now())
        loud = traffic.too_loud(self._watch)
        for agent in await self._desk.agents.read_many(loud) if loud else ():  # services may be as loud as they like
            rate = loud[agent]
            log.warning("agent burdens the broker", agent=agent, bytes=int(rate.bytes), packets=int(rate.packets))
            await self._quarantine.put(agent, traffic.TOO_MUCH, int(max(rate.bytes, rate.packets)))
            self._watch = traffic.judged(self._watch, agent)

    async def mailboxes(self) -> None:
        """Who fills the broker's memory with what it has taken and never answers. Raises WorldAway as above."""
        if not self._quarantine.guards:
            return
        unanswered = await asyncio.to_thread(self._broker.unanswered)
        hoards = {agent: number for agent, number in unanswered.items() if number > MOST_UNANSWERED}
        for agent in await self._desk.agents.read_many(hoards) if hoards else ():
            log.warning("agent hoards messages", agent=agent, messages=hoards[agent])
            await self._quarantine.put(agent, traffic.HOARDS, hoards[agent])
