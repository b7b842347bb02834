"""How many chunks the scheduler gives out: the real process, broker and database; a thousand agents that do not render.

Jobs come to be by the real events; agents are enrolled, pulse, publish with confirms and check what they get. Only two things
differ from a farm at work: chunks have one frame and take no time, and nobody stores their frames, so the timer that would queue
them again is set beyond the end.
"""

import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.bench.celery_baseline import LABEL, CeleryBaseline
from tests.bench.enrolled import a_swarm
from tests.bench.ground import AS_IN_PRODUCTION, a_world, number, repeats, seconds
from tests.bench.paid import paid_jobs
from tests.bench.peers import no_ops
from tests.bench.report import Row, publish, row
from tests.bench.swarm import Swarm
from tests.bench.usage import Usage, since, usage
from tests.integration.world import World

AGENTS, JOBS, FRAMES = number("BENCH_AGENTS", 1_000), number("BENCH_JOBS", 10), 100_000
RATE = 500
STRETCH, TURNS, SHARDS = 12.0, 5, 2
ON_END = 60.0
"""One stretch that shows whether the rate holds."""
OPEN_SECONDS = 40.0
SCHEDULER = {
    **AS_IN_PRODUCTION,
    "FRAMELEND_CHUNK_FRAMES": "1",
    "FRAMELEND_SETTLE_SECONDS": "3600",
    "FRAMELEND_LEASE_SECONDS": "300",  # it is kept still while it is the baseline's turn
}


@dataclass
class Found:
    """`cpu`: CPU milliseconds per assignment by process, of each closed stretch."""

    sustained: float = 0.0
    rates: list[float] = field(default_factory=list)
    celery: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    closed_waits: list[float] = field(default_factory=list)
    open_waits: list[float] = field(default_factory=list)
    open_rate: float = 0.0
    open_cpu: dict[str, float] = field(default_factory=dict)


@asynccontextmanager
async def busy_swarm(world: World) -> AsyncIterator[Swarm]:
    """Everybody has a chunk in hand of jobs that are long enough."""
    swarm = await a_swarm(world, AGENTS)
    try:
        await swarm.open()
        await paid_jobs(world, swarm, JOBS, FRAMES)
        await swarm.all_hold(120)
        yield swarm
    finally:
        await swarm.close()


async def main() -> None:
    async with a_world() as world:
        scheduler, celery = await world.start("scheduler", **SCHEDULER), CeleryBaseline(world)
        async with busy_swarm(world) as swarm:
            found, used = Found(), usage({"scheduler": scheduler})
            await _open(swarm, used, found)
            found.sustained = await rate(swarm, used, seconds(ON_END))
            scheduler.freeze()
            try:
                await celery.open()
                for _ in range(repeats(TURNS)):
                    scheduler.thaw()
                    await closed(swarm, used, found)
                    scheduler.freeze()
                    found.celery.append(await celery.turn(seconds(STRETCH)))
            finally:
                celery.close()
                scheduler.thaw()
            faults = await _faults(world, swarm)
        bare = await no_ops(world, seconds(STRETCH)) if number("BENCH_PEERS", 1) else []
    divided, more = await _divided()
    publish("assignments", [*_rows(found, swarm), *divided, *bare], [*faults, *more])


async def _divided() -> tuple[list[Row], list[str]]:
    """The same load on two shards, a process each; and what was wrong with it."""
    async with a_world(shards=SHARDS) as world:
        named = {f"scheduler {at + 1}": f"{at + 1}/{SHARDS}" for at in range(SHARDS)}
        processes = {name: await world.start("scheduler", **SCHEDULER, FRAMELEND_SHARD=named[name]) for name in named}
        async with busy_swarm(world) as swarm:
            found, used = Found(), usage(processes)
            for _ in range(repeats(TURNS)):
                await closed(swarm, used, found)
            faults = await _faults(world, swarm)
    each = {name: statistics.median(one[name] for one in found.cpu) for name in found.cpu[0]}
    note = f"CPU ms: {_listed(each)}"
    return [row(f"assignments per second, {SHARDS} shards", "1/s", found.rates, better="higher", note=note)], faults


async def _open(swarm: Swarm, used: Usage, found: Found) -> None:
    """Warm first; the waits of the warm stretch do not count."""
    await swarm.open_loop(RATE, 3)
    await swarm.all_hold()
    swarm.tally.waits.clear()
    before = used.cpu()
    made, took = await swarm.open_loop(RATE, seconds(OPEN_SECONDS))
    found.open_rate = made / took
    await swarm.all_hold()
    found.open_cpu = {name: 1000 * spent / made for name, spent in since(before, used.cpu()).items()}
    found.open_waits = list(swarm.tally.waits)


async def rate(swarm: Swarm, used: Usage, length: float) -> float:
    """Assignments per second of one closed stretch of this length."""
    alone = Found()
    await closed(swarm, used, alone, length)
    return alone.rates[0]


async def closed(swarm: Swarm, used: Usage, found: Found, length: float = STRETCH) -> None:
    """Two seconds to get going, then a stretch that counts."""
    async with swarm.closed_loop():
        await swarm.working(2)
        swarm.tally.waits.clear()
        at, before = swarm.tally.assigned, used.cpu()
        took = await swarm.working(seconds(length))
        made, spent = swarm.tally.assigned - at, since(before, used.cpu())
        found.closed_waits += swarm.tally.waits
    found.rates.append(made / took)
    found.cpu.append({name: 1000 * seconds_ / made for name, seconds_ in spent.items()})
    await swarm.all_hold()


async def _faults(world: World, swarm: Swarm) -> list[str]:
    """Empty when all that was given was given once, and the database says the same as the agents."""
    kept = dict[str, str]()
    async for chunk in world.database("scheduler")["chunks"].find({}, {"holder": 1, "former": 1}):
        for attempt in (*([chunk["holder"]] if chunk["holder"] else []), *chunk["former"]):
            kept[attempt["attempt"]] = attempt["agent"]
    lost = await world.database("scheduler")["chunks"].count_documents({"kind": "render", "former.0": {"$exists": True}})
    told = (
        [f"{len(kept)} attempts in the database, {len(swarm.tally.attempts)} at the agents"]
        if kept != swarm.tally.attempts
        else []
    )
    return [*swarm.tally.wrong[:10], *told, *([f"{lost} leases were lost"] if lost else [])]


def _rows(found: Found, swarm: Swarm) -> list[Row]:
    how = f"{AGENTS} agents that do not render, {JOBS} jobs, chunks of 1 frame, each agent pulses every 10 s"
    closed = f"closed loop; wait p50 {_ms(found.closed_waits, 50):.0f} ms; {how}"
    kept = f"open loop, {'kept up' if found.open_rate > 0.98 * RATE else f'NOT kept up: {found.open_rate:.0f}/s'}"
    turns = row("assignments per second", "1/s", found.rates, baseline=LABEL, against=found.celery, better="higher", note=closed)
    on_end = row("assignments per second, 60 s on end", "1/s", [found.sustained], better="higher", note=closed)
    p50 = row("ready to assigned p50 at 500/s", "ms", [_ms(found.open_waits, 50)], note=kept)
    p99 = row(
        "ready to assigned p99 at 500/s", "ms", [_ms(found.open_waits, 99)], note=f"{kept}; {swarm.tally.repeated} repeated"
    )
    return [turns, on_end, p50, p99, *_costs(found)]


def _costs(found: Found) -> list[Row]:
    spent = [
        row(f"CPU per assignment, {name}", "ms", [one[name] for one in found.cpu], note="closed loop") for name in found.cpu[0]
    ]
    whole = row("CPU per assignment, all", "ms", [sum(one.values()) for one in found.cpu], note="closed loop")
    at_rate = row("CPU per assignment at 500/s, all", "ms", [sum(found.open_cpu.values())], note=_listed(found.open_cpu))
    return [*spent, whole, at_rate]


def _listed(costs: dict[str, float]) -> str:
    return ", ".join(f"{name} {cost:.2f}" for name, cost in costs.items())


def _ms(waits: list[float], percent: int) -> float:
    return statistics.quantiles(waits, n=100)[percent - 1] * 1000 if len(waits) > 1 else float("nan")
