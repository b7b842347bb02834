"""How much memory each process takes, idle, at the most while it works, and with a million frames open; how long a restart takes
then; and what an agent itself takes of a lender's CPU.

Load is of three kinds. One real job on one agent moves every service and the agent. Then a renter orders a film of a million
frames through the door, and each service is restarted while it renders. Beside that each hot service gets what its own benchmark
gives it: the scheduler a thousand agents that ask at once, storage and billing frames as fast as they settle.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from contracts.topology import SCHEDULER as SCHEDULING
from contracts.topology import SERVICES
from tests.bench.bench_assignments import FRAMES as FRAMES_EACH
from tests.bench.bench_assignments import JOBS, SCHEDULER, Found, busy_swarm, closed
from tests.bench.bench_settlement import settle_delivered, settle_told, started
from tests.bench.ground import AS_IN_PRODUCTION, a_world
from tests.bench.report import Row, publish, row
from tests.bench.usage import Usage, usage
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import accepted, reached, settled, submitted
from tests.scenes import build_scenes
from tests.waiting import until

IDLE_SECONDS, LOOK_SECONDS = 60.0, 0.25
FRAMES = "1-24"
JOB, SWARM, MONEY = "one real job", "1,000 agents asking at once", "frames settled as fast as they go"
AGENT = "agent"
MILLION, WATCHED_SECONDS = 1_000_000, 30.0
FILM, HEALTHY = "one job of a million frames, being rendered", "from SIGTERM's end until its health is good"
GOAL_MIB, GOAL_SECONDS = 200e6 / (1 << 20), 5.0
Peaks = dict[str, float]


async def main() -> None:
    idle, job, cores, huge, restarts = await _one_job()
    (scheduler, restart), money = await _assigning(), await _settling()
    rows = [row(f"{name}, idle", "MiB", [idle[name]]) for name in idle]
    rows += [row(f"{name}, under load", "MiB", [job[name]], note=JOB) for name in idle]
    rows += [row(f"{AGENT}, {when}", "% of a core", [100 * used], note="without containers") for when, used in cores.items()]
    rows += [*_hot(scheduler, SWARM), *_hot(money, MONEY)]
    rows += [_memory(f"{name}, 1 M frames open", huge[name], FILM) for name in huge]
    rows += [_restart(f"restart of {name}, 1 M frames open", took, FILM) for name, took in restarts.items()]
    ten = f"{JOBS} jobs of {FRAMES_EACH} frames; {SWARM}"
    rows += [_memory("scheduler, 1 M frames open, under load", scheduler["scheduler"], ten)]
    rows += [_restart("restart of scheduler, 1 M frames open, under load", restart, ten)]
    publish("memory", rows)


def _memory(measure: str, peak: float, note: str) -> Row:
    return row(measure, "MiB", [peak], baseline="goal: 200 MB", against=[GOAL_MIB], note=note)


def _restart(measure: str, took: float, note: str) -> Row:
    return row(measure, "s", [took], baseline="goal", against=[GOAL_SECONDS], note=f"{note}; {HEALTHY}")


def _hot(peaks: Peaks, load: str) -> list[Row]:
    return [row(f"{name}, under load, {load}", "MiB", [peak]) for name, peak in peaks.items()]


async def _one_job() -> tuple[Peaks, Peaks, Peaks, Peaks, Peaks]:
    """(idle, at the most, cores that the agent's own processes use: idle and while a job renders; with a million frames open, and
    the seconds of restarts then)."""
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
            huge, restarts = await _film(farm, scenes / "bench_1s", used)
            return idle, peaks, {"idle": idle_cores, "while a job renders": job_cores}, huge, restarts


async def _film(farm: Farm, scene: Path, used: Usage) -> tuple[Peaks, Peaks]:
    """Peaks while a film of a million frames is rendered; seconds that each service's restart takes meanwhile."""
    renter = await farm.account("ruth", credits=10 * MILLION)
    job = await submitted(farm, renter, scene, f"0-{MILLION - 1}")
    async with _watched(used) as peaks:
        await accepted(farm, renter, job)
        await asyncio.to_thread(_shows_pictures, farm, renter, job)
        await asyncio.sleep(WATCHED_SECONDS)
    restarts = {name: await _restarted(farm, name) for name in SERVICES}
    with farm.client(renter) as client:
        await asyncio.to_thread(client.cancel, job)
    done = await settled(farm, renter, job)
    assert done.state == "cancelled", done.reason
    return peaks, restarts


def _shows_pictures(farm: Farm, renter: Account, job: str) -> None:
    with farm.client(renter) as client:
        reached(client, job, lambda one: one.state == "rendering" and one.stored > 20, 300)


async def _restarted(farm: Farm, name: str) -> float:
    extra = AS_IN_PRODUCTION if name == SCHEDULING else {}
    await asyncio.to_thread(farm.services[name].stop)
    began = time.monotonic()
    await farm.start(name, **extra)
    return time.monotonic() - began


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
