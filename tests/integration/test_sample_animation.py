"""The animation that the demo submits is a clean bundle: what a renter's careful file looks like to the survey."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageChops

from infra.demo.sample import FRAMES, make_sample
from infra.images.rendering import render_image_id
from infra.images.sandbox import DRIVER, SURVEY, run_locked


def a_task(place: Path, **task: object) -> Path:
    (place / "task.json").write_text(json.dumps({"blend": "/in/bundle/scene.blend", **task}))
    return place


def test_the_sample_animation_is_complete_loops_and_needs_no_scripts(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    make_sample(inside / "bundle")
    surveyed = run_locked(render_image_id(), a_task(inside), tmp_path / "survey", *SURVEY)
    report = json.loads(surveyed.stdout)
    assert (report["scene"]["frame_start"], report["scene"]["frame_end"]) == (FRAMES[0], FRAMES[-1])
    assert (report["scene"]["picture_width"], report["scene"]["picture_height"]) == (480, 270)
    assert report["scene"]["engine"] == "CYCLES"
    (texture,) = report["files"]
    assert texture["exists"]
    assert texture["used"]
    assert not texture["absolute"]
    assert report["scripted_drivers"] == report["texts"] == report["unbaked_simulations"] == []
    assert report["autoexec_fail"] is False

    settings = {"percentage": 20, "samples": 1}
    task = a_task(inside, frames=[1, 13, len(FRAMES) + 1], settings=settings)
    assert run_locked(render_image_id(), task, tmp_path / "out", *DRIVER).returncode == 0
    first, middle, again = (Image.open(tmp_path / "out" / f"0000{frame:02}.png") for frame in (1, 13, 49))
    assert difference(first, again) < difference(first, middle) / 10


def difference(one: Image.Image, other: Image.Image) -> float:
    """Sum of the absolute differences of all samples."""
    return float(sum(level % 256 * count for level, count in enumerate(ImageChops.difference(one, other).histogram())))
