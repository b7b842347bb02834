"""Reading the fleet while it pulses: the index that is walked moves under the reader."""

import asyncio
from datetime import timedelta

from contracts.bus import Announcer
from contracts.topology import SCHEDULER
from services.chassis.clock import DatabaseClock
from services.chassis.repository import New, SavedThenTold
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.states import AgentState
from services.scheduler.repository import Agents
from tests.integration.world import World

FLEET = 500
"""Several batches of a cursor."""


async def test_an_agent_that_pulses_while_the_fleet_is_read_is_read_once(world: World) -> None:
    database = world.database(SCHEDULER)
    connection = await world.connect(SCHEDULER, world.farm["FARM_SCHEDULER_AMQP_PASSWORD"])
    clock = DatabaseClock(database)
    store: SavedThenTold[Agent] = SavedThenTold(SCHEDULER, database["fleet"], Agent, Announcer(connection, SCHEDULER), clock)
    agents = Agents(store)
    await agents.ensure_indexes()
    began = await clock.now()
    names = [f"agent-{number}" for number in range(FLEET)]
    fleet = [Agent(name, "owner", name, house=False, state=AgentState.ONLINE, seen_at=began) for name in names]
    await agents.store.add_many([New(agent.agent, agent) for agent in fleet])

    async def pulse() -> None:
        for second in range(1, 40):
            await agents.note_heard(dict.fromkeys(names, began + timedelta(seconds=second)))

    pulsing, readings = asyncio.create_task(pulse()), 0
    while not pulsing.done():
        found = [saved.id for saved in await agents.heard()]
        assert sorted(found) == sorted(names)
        readings += 1
    await pulsing
    assert readings > 3
