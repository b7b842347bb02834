"""Cuts off agents that misbehave. Whoever notices reports; here it is decided, and the operator alone undoes it.

The order: its document says that it is out, nothing of it is heard in this process any more, the broker deletes its user, which
closes its connections. Other services hear it from `AgentChanged`; other replicas of this one, and this one of a release, by
looking.
"""

import asyncio
from datetime import datetime

import structlog

from services.chassis.doorkeeper import Doorkeeper
from services.chassis.repository import Unknown
from services.chassis.verdicts import SenderFault
from services.scheduler import metrics
from services.scheduler.desk import Desk
from services.scheduler.domain import access
from services.scheduler.domain.agent import Agent, Decided
from services.scheduler.domain.states import AgentState
from services.scheduler.gate import Gate

log = structlog.get_logger()


class Quarantine:
    def __init__(self, desk: Desk, gate: Gate, doorkeeper: Doorkeeper) -> None:
        self._desk, self._gate, self._doorkeeper = desk, gate, doorkeeper

    @property
    def guards(self) -> bool:
        return self._doorkeeper.guards

    async def put(self, agent: str, what: str, count: int) -> None:
        """Safe to repeat. Raises SenderFault for an agent that nobody enrolled, WorldAway when the broker cannot be told now:
        then the sweep of open accesses tells it."""
        reported: list[bool] = []

        def decide(state: Agent, now: datetime) -> Decided:
            decided = access.barred(state, _reason(what, count, now), now)
            reported.append(decided[0] is not state)
            return decided

        try:
            known, told = await self._desk.agents.decide(agent, decide)
        except Unknown:
            raise SenderFault(f"{agent} is not enrolled") from None
        if known.state is not AgentState.QUARANTINED:
            log.error("agent misbehaves and stays", agent=agent, what=what, count=count, house=known.house)
            return
        self._doorkeeper.shut([agent])
        telling = asyncio.create_task(self._desk.agents.tell(told))
        try:
            await self._gate.settle(agent)  # first: until then it goes on, and what others are told waits behind it
        finally:
            await telling
        if reported[-1]:
            metrics.QUARANTINED.labels(what).inc()
            log.warning("agent quarantined", agent=agent, owner=known.owner, what=what, count=count, hands=len(known.hands))
        self._desk.dispatch.stale()
        if known.hands:
            await self._desk.dispatch.look()

    def ignore(self, agent: str) -> None:
        """Nothing it says or has left is heard in this process from now on."""
        self._doorkeeper.shut([agent])

    async def sweep(self) -> None:
        """Who is in quarantine or revoked, as the database has it: also what other processes and the operator have done."""
        self._doorkeeper.only(await self._desk.agents.unheard())


def _reason(what: str, count: int, now: datetime) -> str:
    return f"{what} ({count}), cut off at {now:%Y-%m-%d %H:%M:%S} UTC; the operator decides when it may come back"
