"""What the farm is measured against: the same driver over the same frames, in one container, with nothing around it."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.images.sandbox import DRIVER, locked, run_locked


@dataclass(frozen=True)
class Timeline:
    """Seconds; `startup` is until the first frame begins, `rendering` the sum over frames, `rest` everything else."""

    total: float
    rendering: float
    startup: float = 0.0
    assignment: float = 0.0
    """From approval to the first attempt, and between attempts."""
    bundle: float = 0.0
    delivery: float = 0.0
    """From the last frame's end to the last `FramesStored`: upload, verification, telling."""
    attempts: int = 1
    """Containers, one after the other; `startup` is the sum of theirs."""
    work: float = 0.0
    """CPU seconds of Blender over all frames."""
    cpu: Mapping[str, float] = field(default_factory=dict)
    """What each of the farm's processes took meanwhile, without the containers."""

    @property
    def rest(self) -> float:
        """Between frames: writing, hashing, the container's end."""
        return self.total - self.rendering - self.startup - self.assignment - self.bundle - self.delivery


def bare_loop(image: str, scene: Path, frames: Sequence[int]) -> Timeline:
    """Renders; raises AssertionError when not every frame came out."""
    with tempfile.TemporaryDirectory() as folder:
        inside, out = _task(Path(folder), scene, frames)
        began = time.monotonic()
        done = run_locked(image, inside, out, *DRIVER)
        total = time.monotonic() - began
        assert done.returncode == 0, done.stderr[-1000:]
        assert len(list(out.glob("*.png"))) == len(frames)
    return _timeline(total, [json.loads(line) for line in done.stdout.splitlines()])


def _task(folder: Path, scene: Path, frames: Sequence[int]) -> tuple[Path, Path]:
    inside = folder / "in"
    shutil.copytree(scene, inside / "bundle")
    (inside / "task.json").write_text(json.dumps({"blend": "/in/bundle/scene.blend", "frames": list(frames), "settings": {}}))
    return inside, folder / "out"


def bare_gap(image: str, scene: Path, frames: Sequence[int]) -> float:
    """Seconds from one frame's end to the next one's start, on average, where somebody listens and does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        words = locked(image, *_task(Path(folder), scene, frames), *DRIVER)
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
            assert running.stdout is not None
            ends, seconds = [], []
            for line in running.stdout:
                said = json.loads(line)
                if said["event"] == "frame":
                    running.stdout.read(said["bytes"])
                    ends.append(time.monotonic())
                    seconds.append(float(said["seconds"]))
        assert (running.returncode, len(ends)) == (0, len(frames))
    return gap(ends, seconds)


def gap(ends: Sequence[float], seconds: Sequence[float]) -> float:
    """What is left between the ends of frames when their own seconds are taken away, for each."""
    return (ends[-1] - ends[0] - sum(seconds[1:])) / (len(ends) - 1)


def _timeline(total: float, said: Sequence[dict[str, Any]]) -> Timeline:
    """The driver's clock is not ours: start-up is what is left when everything it timed is taken away."""
    frames = [one for one in said if one["event"] == "frame"]
    rendering = sum(one["seconds"] for one in frames)
    return Timeline(total, rendering, startup=total - rendering, work=sum(one["cpu_seconds"] for one in frames))
