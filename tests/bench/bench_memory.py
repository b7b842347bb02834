"""How much memory each process takes: idle, and at the most while it works.

Load is of two kinds. One real job on one agent moves every service and the agent. Beside that each hot service gets what its own
benchmark gives it: the scheduler a thousand agents that ask at once, storage and billing frames as fast as they settle.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from contracts.topology import SERVICES
from tests.bench.bench_assignments import SCHEDULER, Found, busy_swarm, closed
from tests.bench.bench_settlement import settle_delivered, settle_told, started
from tests.bench.ground import AS_IN_PRODUCTION, a_world
from tests.bench.report import Row, publish, row
from tests.bench.usage import Usage, usage
from tests.farm.farmhouse import Farm
from tests.farm.renting import accepted, settled, submitted
from tests.scenes import build_scenes

IDLE_SECONDS, LOOK_SECONDS = 10.0, 0.25
FRAMES = "1-24"
JOB, SWARM, MONEY = "one real job", "1,000 agents asking at once", "frames settled as fast as they go"
Peaks = dict[str, float]


async def main() -> None:
    idle, job = await _one_job()
    scheduler, money = await _assigning(), await _settling()
    rows = [row(f"{name}, idle", "MiB", [idle[name]]) for name in idle]
    rows += [row(f"{name}, under load", "MiB", [job[name]], note=JOB) for name in idle]
    rows += [*_hot(scheduler, SWARM), *_hot(money, MONEY)]
    publish("memory", rows)


def _hot(peaks: Peaks, load: str) -> list[Row]:
    return [row(f"{name}, under load, {load}", "MiB", [peak]) for name, peak in peaks.items()]


async def _one_job() -> tuple[Peaks, Peaks]:
    """(idle, at the most)."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_world() as world:
            farm = Farm(world, Path(folder) / "agents")
            await farm.open(**AS_IN_PRODUCTION)
            await farm.lend("operator", "house", house=True)
            (house,) = farm.agents.values()
            used = usage({**{name: farm.services[name] for name in SERVICES}, "agent": house})
            await asyncio.sleep(IDLE_SECONDS)
            idle = used.memory()
            scenes = await asyncio.to_thread(build_scenes, Path(folder) / "scenes")
            async with _watched(used) as peaks:
                await _job(farm, scenes / "ok_small")
            return idle, peaks


async def _job(farm: Farm, scene: Path) -> None:
    renter = await farm.account("rita", credits=50)
    job = await submitted(farm, renter, scene, FRAMES)
    await accepted(farm, renter, job)
    done = await settled(farm, renter, job)
    assert done.state == "completed", done.reason


async def _assigning() -> Peaks:
    async with a_world() as world:
        used = usage({"scheduler": await world.start("scheduler", **SCHEDULER)})
        async with busy_swarm(world) as swarm, _watched(used) as peaks:
            await closed(swarm, used, Found())
        return peaks


async def _settling() -> Peaks:
    async with a_world() as world:
        used = usage(await started(world, "billing", "storage"))
        async with _watched(used) as peaks:
            await settle_delivered(world, used, 1)
    async with a_world() as world:
        used = usage(await started(world, "billing"))
        async with _watched(used) as more:
            await settle_told(world, used, 1)
    return {name: max(peak, more.get(name, 0.0)) for name, peak in peaks.items()}


@asynccontextmanager
async def _watched(used: Usage) -> AsyncIterator[Peaks]:
    """The most that each process was seen to have; complete when the block is left."""
    peaks = used.memory()

    async def watch() -> None:
        while True:
            for name, now in used.memory().items():
                peaks[name] = max(peaks[name], now)
            await asyncio.sleep(LOOK_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield peaks
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
