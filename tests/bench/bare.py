"""What the farm is measured against: the same driver over the same frames, in one container, with nothing around it."""

import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.images.sandbox import DRIVER, run_locked


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
        inside, out = Path(folder) / "in", Path(folder) / "out"
        shutil.copytree(scene, inside / "bundle")
        (inside / "task.json").write_text(json.dumps({"blend": "/in/bundle/scene.blend", "frames": list(frames), "settings": {}}))
        began = time.monotonic()
        done = run_locked(image, inside, out, *DRIVER)
        total = time.monotonic() - began
        assert done.returncode == 0, done.stderr[-1000:]
        assert len(list(out.glob("*.png"))) == len(frames)
    return _timeline(total, [json.loads(line) for line in done.stdout.splitlines()])


def _timeline(total: float, said: Sequence[dict[str, Any]]) -> Timeline:
    """The driver's clock is not ours: start-up is what is left when everything it timed is taken away."""
    frames = [one for one in said if one["event"] == "frame"]
    rendering = sum(one["seconds"] for one in frames)
    return Timeline(total, rendering, startup=total - rendering, work=sum(one["cpu_seconds"] for one in frames))
