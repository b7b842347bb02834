"""`python -m tests.gpu`: the GPU image on every NVIDIA GPU of this machine, through the agent's own code.

Says so and ends with 2 where there is none: what was not run has not passed. Else builds the image if need be, measures each GPU
with the benchmark frame, renders a scene on it and on the CPU, and compares the two pictures.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from agent import pictures
from agent.benchmark import measured_gpu
from agent.container import DRIVER, Engine
from agent.domain.claims import FrameDone, Opened, read_claim
from agent.domain.gpus import Card
from agent.gpus import Gpus
from agent.lockdown import Spec
from contracts.values import Benchmark
from contracts.work import wupm
from infra.images import rendering
from tests.scenes import build_scenes

NOT_RUN = "NOT RUN: nvidia-smi is not on this machine's path or knows no GPU. Nothing about GPUs was tested."
DIFFERENT_SHARE = 0.005
"""Of pixels with a channel off by more than 2/255: what a comparison of honest renders lets pass."""


async def main() -> int:
    cards = await Gpus().cards()
    if not cards:
        print(NOT_RUN)
        return 2
    image, engine = rendering.render_image_id(rendering.GPU), Engine("test-gpu")
    try:
        with tempfile.TemporaryDirectory() as folder:
            scenes = build_scenes(Path(folder) / "scenes")
            outcomes = [await _card(engine, image, card, scenes / "ok_small", _fresh(folder, card)) for card in cards]
    finally:
        engine.close()
    return 0 if all(outcomes) else 1


def _fresh(folder: str, card: Card) -> Path:
    own = Path(folder) / card.id
    own.mkdir()
    return own


async def _card(engine: Engine, image: str, card: Card, scene: Path, folder: Path) -> bool:
    found = await measured_gpu(engine, image, "test-gpu", card, folder, lambda _: True)
    if not isinstance(found, Benchmark):
        print(f"{card.name}: FAILED, the benchmark frame did not render")
        return False
    on_gpu = await _rendered(engine, image, scene, folder / "gpu", card.id)
    on_cpu = await _rendered(engine, image, scene, folder / "cpu", None)
    share = float((numpy.abs(on_gpu.astype(int) - on_cpu.astype(int)).max(axis=2) > 2).mean())
    verdict = "ok" if share <= DIFFERENT_SHARE else "FAILED"
    print(f"{card.name}: {wupm(found) / 1e6:.1f} WU/min; {share:.4%} of pixels differ from the CPU's: {verdict}")
    return verdict == "ok"


async def _rendered(engine: Engine, image: str, scene: Path, folder: Path, gpu: str | None) -> Any:
    """Frame 1 of the scene, in a container locked as the agent locks it."""
    shutil.copytree(scene, folder / "in" / "bundle")
    task = {"blend": "/in/bundle/scene.blend", "frames": [1], "settings": {}, **({"gpu": True} if gpu else {})}
    (folder / "in" / "task.json").write_text(json.dumps(task))
    binds, name = ((folder / "in", "/in"),), f"test-gpu-{folder.name}-{folder.parent.name.lower()}"[:60]
    spec = Spec(image, DRIVER, "test-gpu", name, 2.0, 4_000_000_000, binds=binds, picture_bytes=64 << 20, seconds=300, gpu=gpu)
    running = await engine.start(spec)
    try:
        while (line := await running.line()) is not None:
            claim = read_claim(line)
            if isinstance(claim, FrameDone):
                await pictures.receive(running.counted(claim.bytes), folder / "frame.png")
            elif isinstance(claim, Opened):
                print(f"  {'GPU' if gpu else 'CPU'}: scene opened")
        ended = await running.wait()
        assert ended.code == 0, ended.stderr[-1_000:]
    finally:
        await running.remove()
    return numpy.asarray(Image.open(folder / "frame.png").convert("RGB"))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
