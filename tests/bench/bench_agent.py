"""What the agent itself takes of a lender's machine: CPU and memory, idle and while it renders, without Blender's own.

Idle twice: as it comes, and with every rule of the example settings on, so that its sensors read keyboard, load, programs,
battery and temperature all the time. Renders are containers, which are Docker's children and not the agent's; what decodes
pictures is the agent's.
"""

import asyncio
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.ground import AS_IN_PRODUCTION, a_world, seconds
from tests.bench.report import Row, publish, row
from tests.bench.usage import Usage
from tests.farm.farmhouse import Farm
from tests.farm.renting import accepted, settled, submitted
from tests.scenes import build_scenes

IDLE_SECONDS, LOOK_SECONDS, SETTLED_SECONDS = 60.0, 0.25, 10.0
FRAMES, FRAMES_NUMBER = "1-48", 48
GOAL = "goal: 1 % of a core"
RULES = """[pause]
idle_minutes = 0.001
load_cores = 64
programs = ["blender-of-its-owner"]
on_battery = true
above_celsius = 115
[schedule]
""" + "".join(
    f'{day} = ["00:00-24:00"]\n' for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
)
"""Every sensor is read, and none ever objects."""


@dataclass(frozen=True)
class Taken:
    """By the agent's own processes: cores meanwhile, and MiB of memory at the most."""

    cores: float
    mebibytes: float


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scenes = await asyncio.to_thread(build_scenes, Path(folder) / "scenes")
        async with a_world() as world:
            farm = Farm(world, Path(folder) / "agents")
            await farm.open(**AS_IN_PRODUCTION)
            plain = await _idle(farm, await farm.enrol("operator", "house", house=True))
            ruled = await farm.enrol("operator", "ruled", house=True)
            (farm.credential(ruled).parent / "agent.toml").write_text(RULES, encoding="utf-8")
            sensing = await _idle(farm, ruled)
            working = await _taken(farm, ruled, _job(farm, scenes / "bench_1s"))
    publish("agent", [*_rows("idle", plain), *_rows("idle, every rule on", sensing), *_rows("while it renders", working)])


def _rows(when: str, taken: Taken) -> list[Row]:
    note = "without containers" if when.startswith("while") else GOAL
    cpu = row(f"agent, {when}", "% of a core", [100 * taken.cores], note=note)
    return [cpu, row(f"agent, {when}, memory", "MiB", [taken.mebibytes], note="at the most")]


async def _idle(farm: Farm, agent: str) -> Taken:
    """Alone and after its benchmark; those before it are stopped."""
    for other in list(farm.agents):
        await farm.dismiss(other)
    await farm.run_agent(agent)
    await asyncio.sleep(SETTLED_SECONDS)
    return await _taken(farm, agent, asyncio.sleep(seconds(IDLE_SECONDS)))


async def _job(farm: Farm, scene: Path) -> None:
    renter = await farm.account("rita", credits=50)
    job = await submitted(farm, renter, scene, FRAMES)
    await accepted(farm, renter, job)
    done = await settled(farm, renter, job)
    assert (done.state, done.stored) == ("completed", FRAMES_NUMBER), done.reason


async def _taken(farm: Farm, agent: str, what: Coroutine[Any, Any, None]) -> Taken:
    used, most = Usage({"agent": farm.agents[agent].pid}, measuring=""), 0.0
    before, began, doing = used.cpu()["agent"], time.monotonic(), asyncio.ensure_future(what)
    while not doing.done():
        most = max(most, used.memory()["agent"])
        await asyncio.wait({doing}, timeout=LOOK_SECONDS)
    doing.result()
    return Taken((used.cpu()["agent"] - before) / (time.monotonic() - began), most)
