"""What a batch of agents is answered is told together: the broker's word on one is not waited for before the next is told."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from contracts.events import AgentOrder, AgentOrdered, AgentPulse, AgentReady, AttemptInHand, AttemptVoid, Event
from contracts.values import Hardware
from services.chassis.delivery import Received
from services.scheduler.domain.states import AgentState
from services.scheduler.handlers.agents import pulses, ready
from tests.unit.scheduler.builders import GIB, NOW, an_agent
from tests.unit.scheduler.office import Office

AGENTS = ("ann", "bob", "cid")
PATIENCE = 20
E = TypeVar("E", bound=Event)


class Broker:
    """Confirms nothing before it was told so many things."""

    def __init__(self, number: int) -> None:
        self._enough, self.told = asyncio.Barrier(number), list[Event | str]()

    async def say(self, said: Event | str) -> None:
        self.told.append(said)
        await self._enough.wait()


async def an_office() -> Office:
    office = Office()
    for agent in AGENTS:
        await office.agents.store.add(agent, an_agent(agent))
    return office


def a_batch(event: E) -> Sequence[Received[E]]:
    return [Received(event, agent, f"by-{agent}", 0, NOW, {}) for agent in AGENTS]


async def test_void_attempts_of_a_batch_of_pulses() -> None:
    office, broker = await an_office(), Broker(2 * len(AGENTS))
    lost = tuple(AttemptInHand(attempt=f"lost-{at}", chunk="gone", job="job") for at in range(2))
    batch = a_batch(AgentPulse(run="run-1", attempts=lost))
    async with asyncio.timeout(PATIENCE):
        assert await pulses(replace(office.desk, say=broker.say), batch) == [None] * 3
    voids = [(one.agent, one.attempt) for one in broker.told if isinstance(one, AttemptVoid)]
    assert sorted(voids) == [(agent, f"lost-{at}") for agent in AGENTS for at in range(2)]


async def test_the_order_that_keeps_each_of_a_batch_of_agents_from_working() -> None:
    office, broker = Office(), Broker(len(AGENTS))
    for agent in AGENTS:
        suspended = an_agent(agent, state=AgentState.SUSPENDED, order=AgentOrder.DISABLE)
        await office.agents.store.add(agent, suspended)
    batch = a_batch(AgentReady(run="run-1", slots=1, hardware=Hardware(cores=1, memory_bytes=4 * GIB)))
    async with asyncio.timeout(PATIENCE):
        assert await ready(replace(office.desk, say=broker.say), batch) == [None] * 3
    assert sorted(one.agent for one in broker.told if isinstance(one, AgentOrdered)) == list(AGENTS)


async def test_the_order_to_the_farm_that_a_batch_of_agents_is_reminded_of() -> None:
    office, broker = await an_office(), Broker(len(AGENTS))
    batch = a_batch(AgentReady(run="run-1", slots=1, hardware=Hardware(cores=1, memory_bytes=4 * GIB)))
    async with asyncio.timeout(PATIENCE):
        assert await ready(replace(office.desk, remind=broker.say), batch) == [None] * 3
    assert sorted(map(str, broker.told)) == list(AGENTS)
