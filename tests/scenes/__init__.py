"""Small .blend files for tests and benchmarks, one fault or feature each. `build.py` runs inside the render image."""

from __future__ import annotations

from pathlib import Path

from infra.images.rendering import render_image_id
from infra.images.sandbox import run_locked

HERE = Path(__file__).resolve().parent


def build_scenes(folder: Path) -> Path:
    """Fills `folder` with `<name>/scene.blend` (and its textures) for every scene of build.py, in about 4 seconds."""
    done = run_locked(render_image_id(), HERE, folder, "python3", "/in/build.py", "/out", seconds=120)
    if done.returncode != 0:
        raise RuntimeError(f"the scenes could not be made:\n{done.stderr[-2000:]}")
    return folder
