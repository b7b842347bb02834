"""What starting costs: a chunk before its first frame, beside the bare container, and each service until it says it is ready."""

import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path

from contracts.topology import SERVICES
from infra.images.sandbox import DRIVER, run_locked
from tests.bench.ground import AS_IN_PRODUCTION, a_world, repeats
from tests.bench.report import Row, publish, row
from tests.integration.world import World
from tests.scenes import build_scenes

TURNS = 5


async def main() -> None:
    async with a_world() as world:
        chunk = await asyncio.to_thread(_chunk, world.farm["FARM_RENDER_IMAGE"])
        found = {name: [await _started(world, name) for _ in range(repeats(TURNS))] for name in SERVICES}
    publish("startup", [chunk, *(row(f"{name}, start to ready", "s", times) for name, times in found.items())])


def _chunk(image: str) -> Row:
    """Everything of a run but the frame itself: container, Python, bpy, opening the file, and the end."""
    with tempfile.TemporaryDirectory() as folder:
        scenes = build_scenes(Path(folder) / "scenes")
        inside = Path(folder) / "in"
        shutil.copytree(scenes / "ok_small", inside / "bundle")
        (inside / "task.json").write_text(json.dumps({"blend": "/in/bundle/scene.blend", "frames": [1], "settings": {}}))
        pairs = [(_rendering(image, inside, Path(folder)), _nothing(image, inside, Path(folder))) for _ in range(repeats(TURNS))]
    mine, bare = ([pair[side] for pair in pairs] for side in (0, 1))
    return row("chunk, before its first frame", "s", mine, baseline="the bare container running `true`", against=bare)


def _rendering(image: str, inside: Path, folder: Path) -> float:
    out = Path(tempfile.mkdtemp(dir=folder))
    began = time.monotonic()
    done = run_locked(image, inside, out, *DRIVER)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr[-1000:]
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return took - sum(float(one["seconds"]) for one in said if one["event"] == "frame")


def _nothing(image: str, inside: Path, folder: Path) -> float:
    began = time.monotonic()
    assert run_locked(image, inside, folder / "out", "true").returncode == 0
    return time.monotonic() - began


async def _started(world: World, name: str) -> float:
    began = time.monotonic()
    bucket = {"FRAMELEND_S3_BUCKET": f"bench-{world.token}"} if name == "storage" else {}
    process = await world.start(name, **AS_IN_PRODUCTION, **bucket)
    took = time.monotonic() - began
    process.stop()
    return took
