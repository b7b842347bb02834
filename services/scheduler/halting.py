"""Carries out the operator's order to the whole farm, as often as need be: at once when it is heard, and by a sweep for whatever
another process, a crash or a mailbox that was full has left over.

On a stop every machine is told, for that ends its containers whatever we believe it has; meanwhile the chunks in hand are put
back, each of which tells its agent again. Chunks whose agents are done with them wait for storage as ever: nothing of them runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from contracts.bus import NotAnnounced
from contracts.events import Event, FarmControlled, FarmOrder
from services.chassis.repository import Change
from services.scheduler import metrics
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import farm as domain
from services.scheduler.domain.farm import Farm
from services.scheduler.repository import Agents, Chunks, Farms

log = structlog.get_logger()

TOGETHER = 100
"""Machines told at a time."""
ROUNDS = 200


class Halting:
    def __init__(
        self, farms: Farms, agents: Agents, chunks: Chunks, dispatch: Dispatch, say: Callable[[Event], Awaitable[None]]
    ) -> None:
        self._farms, self._agents, self._chunks, self._dispatch, self._say = farms, agents, chunks, dispatch, say
        self.farm = Farm()
        """As this process last saw it."""

    async def ordered(self, said: FarmControlled) -> None:
        farm = await self._farms.control(said)
        if farm.revision != said.revision:
            log.info("an older order to the farm came late", order=said.order, revision=said.revision)
            return
        log.warning("farm ordered", order=farm.order, by=farm.by, revision=farm.revision)
        metrics.FARM_ORDERS.labels(farm.order).inc()
        self._see(farm)
        await asyncio.gather(self._tell_all(farm), self._carry_out(farm))

    async def tell(self, agent: str) -> None:
        """A machine that has just spoken; nothing while the farm is at work."""
        if not domain.is_at_work(self.farm):
            await self._tell(self.farm, agent)

    async def sweep(self) -> None:
        """Also before anything is given out by a new process."""
        self._see(await self._farms.get())
        await self._empty(self.farm)

    def notes(self) -> Sequence[str]:
        """For whoever asks how the service is."""
        said = domain.words(self.farm)
        return [said] if said else []

    def _see(self, farm: Farm) -> None:
        self.farm = farm
        self._dispatch.is_halted = not domain.is_at_work(farm)
        for order in FarmOrder:
            metrics.FARM.labels(order).set(order is farm.order)

    async def _carry_out(self, farm: Farm) -> None:
        """Rounds of giving out that are under way end first, also in the database: what they have claimed is found there."""
        await self._dispatch.look()
        await self._dispatch.settled()
        await self._empty(farm)

    async def _tell_all(self, farm: Farm) -> None:
        """Those that have something in hand first. Also those that are away, lest an older order is the last they hear."""
        known = sorted(await self._agents.reachable(), key=lambda saved: not saved.state.hands)
        for at in range(0, len(known), TOGETHER):
            await asyncio.gather(*(self._tell(farm, saved.id) for saved in known[at : at + TOGETHER]))

    async def _tell(self, farm: Farm, agent: str) -> None:
        try:
            await self._say(domain.told(farm, agent))
        except NotAnnounced:  # a mailbox that is full or gone is its owner's affair
            log.info("a machine could not be told the farm's order", agent=agent, order=farm.order)

    async def _empty(self, farm: Farm) -> None:
        """A stopped farm has nothing in hand."""
        for _ in range(ROUNDS if farm.order is FarmOrder.STOP else 0):
            held, now = await self._chunks.at_work(), await self._agents.now()
            changes = [Change(saved, *chunks.put_back(saved.state, domain.words(farm), now)) for saved in held]
            if not changes:
                return
            metrics.FARM_STOPPED.inc(sum(await self._chunks.save(changes)))
