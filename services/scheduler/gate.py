"""Lets agents in at the broker and shuts them out: makes the broker say what their documents say.

The document is written first (`domain.access`), the broker is told after it, and that it was told is written last. A crash
anywhere in between is made good by whoever comes next: the same message again, or the sweep.
"""

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

import structlog

from services.chassis.repository import Decide, Unknown
from services.chassis.verdicts import WorldAway
from services.scheduler import metrics
from services.scheduler.broker import Broker
from services.scheduler.domain import access
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Ending
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.states import UNSETTLED
from services.scheduler.folding import one_by_one, owned_up
from services.scheduler.repository import Agents, Chunks

log = structlog.get_logger()

MOST_FAILURES = 3
"""In one sweep: one agent that the broker will not have must not hold up the others, a broker that is away need not be asked."""
ROUNDS = 10
"""Changes of mind in a row that one settling follows."""


class Gate:
    """One settling of an agent at a time in a process; another process's is seen by the document having moved on."""

    def __init__(self, agents: Agents, chunks: Chunks, broker: Broker) -> None:
        self._agents, self._chunks, self._broker = agents, chunks, broker
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def settle(self, agent: str) -> Agent:
        """The agent, after the broker was made to say what its document says. Raises Unknown, WorldAway."""
        async with self._turns.setdefault(agent, asyncio.Lock()):
            known = await self._read(agent)
            return await self._settled(known) if known.access in UNSETTLED else known

    async def _settled(self, wanted: Agent) -> Agent:
        for _ in range(ROUNDS):
            await self._do(wanted)
            found = await self._agents.update(wanted.agent, _noting(wanted))
            if access.is_settled(found, wanted):
                return found
            wanted = found
        raise WorldAway(f"what the broker should know of {wanted.agent} changes faster than it can be told")

    async def sweep(self) -> None:
        """What a crash left half done. An agent that cannot be settled at all keeps nobody else from it."""
        away: list[str] = []

        async def finish(agent: str) -> None:
            if len(away) == MOST_FAILURES:
                return
            try:
                await self.settle(agent)
                log.info("agent's access was settled by the sweep", agent=agent)
            except WorldAway as problem:
                log.warning("agent's access is not settled yet", agent=agent, problem=str(problem))
                away.append(agent)

        owned_up(await one_by_one(await self._agents.unsettled(), finish))

    async def _read(self, agent: str) -> Agent:
        known = await self._agents.get(agent)
        if known is None:
            raise Unknown(agent)
        return known

    async def _do(self, wanted: Agent) -> None:
        if access.is_welcome(wanted):
            if wanted.secret_hash:
                await self._timed("let in", lambda: self._broker.admit(wanted.agent, wanted.secret_hash), wanted.agent)
            return
        await self._timed("shut out", lambda: self._broker.expel(wanted.agent), wanted.agent)
        for hand in wanted.hands:
            await self._give_up(hand)

    async def _timed(self, what: str, call: Callable[[], None], agent: str) -> None:
        with metrics.GATE.labels(what).time():
            await asyncio.to_thread(call)
        log.info(f"agent {what} at the broker", agent=agent)

    async def _give_up(self, hand: Hand) -> None:
        """Its lease is void; what it has not delivered is given to others."""
        metrics.VOIDED.labels("agent revoked").inc()
        try:
            decide = chunks.gave_up
            await self._chunks.update(hand.chunk, lambda chunk, at: (decide(chunk, hand.attempt, Ending.LOST, at), []))
        except Unknown:
            log.info("a slot was reserved for a chunk that was never inserted", chunk=hand.chunk)


def _noting(done: Agent) -> Decide[Agent]:
    return lambda agent, _: access.settled(agent, done)
