"""What starting costs: a chunk before its first frame, beside the bare container; between two of its frames, by the agent's own
code (only the bus is left out), beside the bare loop; and each service until it says it is ready."""

import asyncio
import json
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path

import structlog

from agent.domain import signals
from contracts.topology import SERVICES
from contracts.values import ranges
from infra.images.sandbox import DRIVER, run_locked
from tests.bench.bare import bare_gap, gap
from tests.bench.ground import AS_IN_PRODUCTION, a_world, repeats
from tests.bench.report import Row, publish, row
from tests.integration.world import World
from tests.scenes import build_scenes
from tests.security.lair import a_lair

TURNS = 5
FRAMES = range(1, 25)


async def main() -> None:
    async with a_world() as world:
        image = world.farm["FARM_RENDER_IMAGE"]
        chunk = await asyncio.to_thread(_chunk, image)
        between = await _between(image)
        found = {name: [await _started(world, name) for _ in range(repeats(TURNS))] for name in SERVICES}
    publish("startup", [chunk, between, *(row(f"{name}, start to ready", "s", times) for name, times in found.items())])


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


async def _between(image: str) -> Row:
    """By the agent a picture is received, written, decoded, hashed and journalled, all while the next one is rendered."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    mine, bare = [], []
    with tempfile.TemporaryDirectory() as folder:
        scene = (await asyncio.to_thread(build_scenes, Path(folder) / "scenes")) / "ok_small"
        for _ in range(repeats(TURNS)):
            mine.append(1000 * await _agents_gap(image, scene))
            bare.append(1000 * await asyncio.to_thread(bare_gap, image, scene, FRAMES))
    baseline = "bare loop: the same driver in the same image, its pictures read and thrown away"
    measure = "chunk, from one frame's end to the next one's start"
    return row(measure, "ms", mine, baseline=baseline, against=bare, note=f"{len(FRAMES)} frames of 192x108")


async def _agents_gap(image: str, scene: Path) -> float:
    """With all cores and at the lowest priority, as on a lender's machine. A frame ends when its last byte is in the spool."""
    home = Path(await asyncio.to_thread(tempfile.mkdtemp))
    async with a_lair(home, image) as lair:
        whole = {"agent_cpus": float(os.cpu_count() or 1), "agent_slots": 1}
        lair.place.settings = lair.place.settings.model_copy(update=whole)
        files = {"scene.blend": (scene / "scene.blend").read_bytes()}
        raid = await lair.render(files, memory_bytes=2_000_000_000, grant={"frames": ranges(FRAMES)})
        await lair.ended(raid)
        taken = [one.picture for one in raid.runner.heard if isinstance(one, signals.FrameTaken)]
        assert [one.frame for one in taken] == list(FRAMES), raid.ending
        spool = lair.folders.spool / raid.runner.attempt.assignment.grant.attempt
        ends = sorted(path.stat().st_mtime for path in spool.iterdir())
    return gap(ends, [one.seconds for one in taken])


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
