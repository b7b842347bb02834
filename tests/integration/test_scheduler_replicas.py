"""Two schedulers at once: one takes the hot inboxes, the other takes over when it dies; nothing is given out twice."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.bench.enrolled import a_swarm
from tests.bench.paid import paid_jobs
from tests.bench.swarm import Swarm
from tests.integration.world import World
from tests.waiting import until

AGENTS, JOBS, FRAMES = 30, 2, 20_000
SETTINGS = {"FRAMELEND_CHUNK_FRAMES": "1", "FRAMELEND_SETTLE_SECONDS": "3600"}
"""A chunk a frame, and nobody stores them."""


@pytest_asyncio.fixture(loop_scope="session")
async def swarm(world: World) -> AsyncIterator[Swarm]:
    swarm = await a_swarm(world, AGENTS)
    try:
        await swarm.open()
        yield swarm
    finally:
        await swarm.close()


async def test_when_one_of_two_schedulers_is_killed_the_other_goes_on_and_nothing_is_given_out_twice(
    world: World, swarm: Swarm
) -> None:
    first = await world.start("scheduler", **SETTINGS)
    await world.start("scheduler", **SETTINGS)
    await paid_jobs(world, swarm, JOBS, FRAMES)
    await swarm.all_hold(60)
    async with swarm.closed_loop():
        await until(lambda: swarm.tally.assigned > 10 * AGENTS, "they are busy", 60)
        first.kill()
        at = swarm.tally.assigned
        await until(lambda: swarm.tally.assigned > at + 10 * AGENTS, "the other one gives out chunks", 60)
    await swarm.all_hold()
    assert not swarm.tally.wrong, swarm.tally.wrong[:10]
    await until(lambda: _same(world, swarm), "the database says the same as the agents", 30)


async def _same(world: World, swarm: Swarm) -> bool:
    """Every attempt that the database knows came to its agent, and no other."""
    kept = dict[str, str]()
    async for chunk in world.database("scheduler")["chunks"].find({}, {"holder": 1, "former": 1}):
        for attempt in (*([chunk["holder"]] if chunk["holder"] else []), *chunk["former"]):
            kept[attempt["attempt"]] = attempt["agent"]
    return kept == swarm.tally.attempts
