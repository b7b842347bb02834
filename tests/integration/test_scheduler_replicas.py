"""Two shards with two schedulers each: one is killed under load, its replica takes over, and nothing is given out twice."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from contracts.shards import shard_of
from infra.local.farmfile import FarmFile
from tests.bench.enrolled import a_swarm
from tests.bench.paid import paid_jobs
from tests.bench.swarm import Swarm
from tests.integration.world import Process, World
from tests.waiting import until

AGENTS, JOBS, FRAMES, SHARDS = 30, 2, 20_000, 2
SETTINGS = {"FRAMELEND_CHUNK_FRAMES": "1", "FRAMELEND_SETTLE_SECONDS": "3600"}
"""A chunk a frame, and nobody stores them."""


@pytest_asyncio.fixture(name="divided", loop_scope="session")
async def a_divided_world(farm: FarmFile) -> AsyncIterator[World]:
    it = World(farm, shards=SHARDS)
    await it.open()
    yield it
    await it.close()


@pytest_asyncio.fixture(loop_scope="session")
async def swarm(divided: World) -> AsyncIterator[Swarm]:
    swarm = await a_swarm(divided, AGENTS)
    try:
        await swarm.open()
        yield swarm
    finally:
        await swarm.close()


async def test_one_of_two_schedulers_of_one_of_two_shards_is_killed_and_nothing_is_given_out_twice(
    divided: World, swarm: Swarm
) -> None:
    first, other = await asyncio.gather(*(_scheduler(divided, shard) for shard in range(SHARDS)))
    await asyncio.gather(*(_scheduler(divided, shard) for shard in range(SHARDS)))
    await paid_jobs(divided, swarm, JOBS, FRAMES)
    await swarm.all_hold(60)
    async with swarm.closed_loop():
        await until(lambda: all(_assigned(process) > 2 * AGENTS for process in (first, other)), "both shards are busy", 60)
        first.kill()
        before = _by_shard(swarm)
        await until(lambda: all(_by_shard(swarm)[at] > before[at] + 5 * AGENTS for at in range(SHARDS)), "both go on", 60)
    await swarm.all_hold()
    assert not swarm.tally.wrong, swarm.tally.wrong[:10]
    await until(lambda: _same(divided, swarm), "the database says the same as the agents", 30)


async def _scheduler(world: World, shard: int) -> Process:
    return await world.start("scheduler", **SETTINGS, FRAMELEND_SHARD=f"{shard + 1}/{SHARDS}")


def _assigned(process: Process) -> float:
    """Chunks to render that this process has given out."""
    lines = httpx.get(f"{process.url}/metrics", timeout=10).text.splitlines()
    return sum(
        float(line.split()[1]) for line in lines if line.startswith('framelend_scheduler_assignments_total{kind="render"}')
    )


def _by_shard(swarm: Swarm) -> list[int]:
    """Attempts that came to the agents of each shard."""
    shards = [shard_of(agent, SHARDS) for agent in swarm.tally.attempts.values()]
    return [shards.count(shard) for shard in range(SHARDS)]


async def _same(world: World, swarm: Swarm) -> bool:
    """Every attempt that the database knows came to its agent, and no other."""
    kept = dict[str, str]()
    async for chunk in world.database("scheduler")["chunks"].find({}, {"holder": 1, "former": 1}):
        for attempt in (*([chunk["holder"]] if chunk["holder"] else []), *chunk["former"]):
            kept[attempt["attempt"]] = attempt["agent"]
    return kept == swarm.tally.attempts
