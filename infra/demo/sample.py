"""Makes the sample animation: the bundle that `make demo` submits as a renter would."""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.images.rendering import render_image_id
from infra.images.sandbox import run_locked
from infra.images.wheels import WORK
from infra.local.failure import FarmError

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(HERE.glob("scene*.py"))
FRAMES = range(1, 49)


def make_sample(folder: Path) -> Path:
    """Fills `folder` with scene.blend and textures/palette.png (0.6 MB); returns the .blend's path. About 3 seconds."""
    inside = WORK / "sample"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir(parents=True)
    for path in SCRIPTS:
        shutil.copy(path, inside)
    done = run_locked(render_image_id(), inside, folder, "python3", "/in/scene.py", "/out", seconds=120)
    blend = folder / "scene.blend"
    if done.returncode != 0 or not blend.exists():
        raise FarmError("sample animation", f"could not be made: {done.stderr[-600:]}", advice="make images")
    return blend
