"""How much memory each process takes, idle and at the most while it works; and what an agent itself takes of a lender's CPU.

Load is of two kinds. One real job on one agent moves every service and the agent. Beside that each hot service gets what its own
benchmark gives it: the scheduler a thousand agents that ask at once, storage and billing frames as fast as they settle.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from contracts.topology import SERVICES
from tests.bench.bench_assignments import FRAMES as FRAMES_EACH
from tests.bench.bench_assignments import JOBS, SCHEDULER, Found, busy_swarm, closed
from tests.bench.bench_settlement import settle_delivered, settle_told, started
from tests.bench.ground import AS_IN_PRODUCTION, a_world
from tests.bench.report import Row, publish, row
from tests.bench.usage import Usage, usage
from tests.farm.farmhouse import Farm
from tests.farm.renting import accepted, settled, submitted
from tests.scenes import build_scenes
from tests.waiting import until

IDLE_SECONDS, LOOK_SECONDS = 60.0, 0.25
FRAMES = "1-24"
JOB, SWARM, MONEY = "one real job", "1,000 agents asking at once", "frames settled as fast as they go"
AGENT = "agent"
Peaks = dict[str, float]


async def main() -> None:
    idle, job, cores = await _one_job()
    (scheduler, restart), money = await _assigning(), await _settling()
    rows = [row(f"{name}, idle", "MiB", [idle[name]]) for name in idle]
    rows += [row(f"{name}, under load", "MiB", [job[name]], note=JOB) for name in idle]
    rows += [row(f"{AGENT}, {when}", "% of a core", [100 * used], note="without containers") for when, used in cores.items()]
    rows += [*_hot(scheduler, SWARM), *_hot(money, MONEY)]
    rows += [
        row("scheduler, 1 M frames open", "MiB", [scheduler["scheduler"]], note=f"{JOBS} jobs of {FRAMES_EACH} frames; {SWARM}")
    ]
    rows += [row("restart of the scheduler, 1 M frames open", "s", [restart], note="until its health is good")]
    publish("memory", rows)


def _hot(peaks: Peaks, load: str) -> list[Row]:
    return [row(f"{name}, under load, {load}", "MiB", [peak]) for name, peak in peaks.items()]


async def _one_job() -> tuple[Peaks, Peaks, Peaks]:
    """(idle, at the most, cores that the agent's own processes use: idle and while a job renders)."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_world() as world:
            farm = Farm(world, Path(folder) / "agents")
            await farm.open(**AS_IN_PRODUCTION)
            await farm.lend("operator", "house", house=True)
            (house,) = farm.agents.values()
            used = usage({**{name: farm.services[name] for name in SERVICES}, "agent": house})
            idle_cores = await _cores(used, asyncio.sleep(IDLE_SECONDS))
            idle = used.memory()
            scenes = await asyncio.to_thread(build_scenes, Path(folder) / "scenes")
            async with _watched(used) as peaks:
                job_cores = await _cores(used, _job(farm, scenes / "bench_1s"))
            return idle, peaks, {"idle": idle_cores, "while a job renders": job_cores}


async def _cores(used: Usage, what: Coroutine[Any, Any, None]) -> float:
    """CPU seconds per second of the agent's own processes meanwhile. Containers are Docker's children, not the agent's."""
    before, began = used.cpu()[AGENT], time.monotonic()
    await what
    return (used.cpu()[AGENT] - before) / (time.monotonic() - began)


async def _job(farm: Farm, scene: Path) -> None:
    renter = await farm.account("rita", credits=50)
    job = await submitted(farm, renter, scene, FRAMES)
    await accepted(farm, renter, job)
    done = await settled(farm, renter, job)
    assert done.state == "completed", done.reason


async def _assigning() -> tuple[Peaks, float]:
    """Peaks, and the seconds of a restart: from the start of the process until it is healthy."""
    async with a_world() as world:
        scheduler = await world.start("scheduler", **SCHEDULER)
        used = usage({"scheduler": scheduler})
        async with busy_swarm(world) as swarm:
            async with _watched(used) as peaks:
                await closed(swarm, used, Found())
            await asyncio.to_thread(scheduler.stop)
            began = time.monotonic()
            await world.start("scheduler", **SCHEDULER)
            took = time.monotonic() - began
            async with swarm.closed_loop():
                at = swarm.tally.assigned
                await until(lambda: swarm.tally.assigned > at, "it gives out chunks again", 30)
            await swarm.all_hold()
        return peaks, took


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
