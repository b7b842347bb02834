"""Every check of the inspection on a .blend made for it, saved by Blender 4.2, 4.5 and 5.0: surveyed
in the locked image, read by the agent's code, judged by the scheduler's. And what each offered change does to the picture.
"""

from __future__ import annotations

import json
import secrets
import tarfile
from pathlib import Path
from typing import Any

import pytest

from agent.domain.survey import read_report
from contracts.changes import Change, Support
from contracts.values import RenderSettings, Severity
from infra.images.rendering import render_image_id
from infra.images.sandbox import run_locked
from infra.local import engine
from infra.local.layout import Layout
from services.scheduler.domain.inspection import Verdict, judged
from tests.scenes import HERE as SCENES
from tests.unit.agent.builders import a_grant

VERSIONS = ("4.2", "4.5", "5.0")
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
LARGEST = 4 << 30

EXPECTED: dict[str, tuple[str, Severity, Change | None] | None] = {
    "clean": None,
    "no_camera": ("no_camera", ERROR, None),
    "idle_camera": ("no_camera", ERROR, Change.FIRST_CAMERA),
    "eevee": ("engine", ERROR, Change.RENDER_WITH_CYCLES),
    "workbench": ("engine", ERROR, Change.RENDER_WITH_CYCLES),
    "addon_engine": ("engine", ERROR, Change.RENDER_WITH_CYCLES),
    "addon_nodes": ("addon_nodes", ERROR, None),
    "addon_settings": ("addon_settings", INFO, None),
    "movie_output": ("movie_output", WARNING, Change.PICTURES_INSTEAD_OF_VIDEO),
    "script": ("scripts", WARNING, None),
    "python_driver": ("scripts", WARNING, None),
    "cloth": ("simulations", ERROR, Change.STEP_SIMULATIONS),
    "simulation_nodes": ("simulations", ERROR, Change.STEP_SIMULATIONS),
    "rigid_bodies": ("simulations", ERROR, None),
    "swinging_hair": ("simulations", ERROR, None),
    "empty_rigid_world": None,
    "particles": None,
    "hair": None,
    "heavy": ("memory", ERROR, None),
    "default_range": ("frame_range", WARNING, None),
    "one_frame": ("one_frame", INFO, None),
    "every_other_frame": ("frame_step", INFO, None),
    "no_frames": ("no_frames", ERROR, None),
    "too_many_frames": ("too_many_frames", ERROR, None),
    "frame_number": ("frame_number", ERROR, None),
    "simulations_not_begun": ("simulations_not_begun", INFO, None),
    "more_bundle_than_work": ("more_bundle_than_work", WARNING, None),
    "resolution": ("resolution", ERROR, None),
    "half_resolution": ("percentage", WARNING, Change.FULL_RESOLUTION),
    "huge": ("big_pictures", WARNING, None),
    "cropped": ("cropped", ERROR, Change.WHOLE_PICTURE),
    "two_views": ("multiview", ERROR, Change.ONE_VIEW),
    "file_outputs": ("file_outputs", WARNING, Change.WITHOUT_FILE_OUTPUTS),
    "sequencer": ("sequencer", WARNING, Change.WITHOUT_SEQUENCER),
    "sound_only": ("missing_unused", INFO, None),
    "denoiser": ("denoiser", INFO, None),
    "gpu_device": ("gpu_device", INFO, None),
    "packed": ("packed", WARNING, None),
    "missing_image": ("missing_image", ERROR, None),
    "absolute_image": ("absolute_path", ERROR, None),
    "windows_image": ("absolute_path", ERROR, None),
    "unlinked_image": ("missing_unused", INFO, None),
    "dead_end_image": ("missing_unused", INFO, None),
    "brush_image": ("missing_unused", INFO, None),
    "packed_image": None,
    "present_image": None,
    "missing_tile": ("missing_tile", ERROR, None),
    "missing_sequence": ("missing_sequence", ERROR, None),
    "missing_library": ("missing_library", ERROR, None),
    "missing_linked": ("missing_linked", ERROR, None),
    "missing_font": ("missing_font", ERROR, None),
    "missing_cache": ("missing_cache", ERROR, None),
    "missing_volume": ("missing_cache", ERROR, None),
    "missing_strip": ("missing_strip", ERROR, Change.WITHOUT_SEQUENCER),
    "missing_sound": ("missing_unused", INFO, None),
    "newer": ("newer_blender", ERROR, None),
}
"""Scene of flaws.py → its one finding (code, severity, offered change), or None."""
BESIDE = {"missing_strip": {"sequencer"}, "newer": {"denoiser"}, "huge": {"memory"}}
"""Other findings that belong to the same flaw: strips that are missing are also rendered."""
BUNDLES = {"more_bundle_than_work": 200 << 20}
"""Bytes, where the bundle is what is wrong; others are as large as what lies in their folder."""
SILENT_WITHOUT_SOUND = {("4.2", "sound_only"), ("4.2", "missing_sound")}
"""The wheel of Blender 4.2 was built without sound."""

CHANGED = [
    ("eevee", Change.RENDER_WITH_CYCLES),
    ("workbench", Change.RENDER_WITH_CYCLES),
    ("addon_engine", Change.RENDER_WITH_CYCLES),
    ("idle_camera", Change.FIRST_CAMERA),
    ("half_resolution", Change.FULL_RESOLUTION),
    ("cropped", Change.WHOLE_PICTURE),
    ("two_views", Change.ONE_VIEW),
    ("sequencer", Change.WITHOUT_SEQUENCER),
    ("missing_strip", Change.WITHOUT_SEQUENCER),
]
"""Changes that make the very picture of `clean` of a file that gives another one, or none."""


class Studio:
    """The flaws of three Blenders, and the image that looks at them and renders them."""

    def __init__(self, work: Path) -> None:
        self.work, self.image = work, render_image_id()
        made = run_locked(self.image, SCENES, work / "5.0", "python3", "/in/flaws.py", "/out", seconds=120)
        assert made.returncode == 0, made.stderr[-2000:]
        for version in ("4.2", "4.5"):
            with tarfile.open(SCENES / "saved" / f"{version}.tar.xz") as archive:
                archive.extractall(work / version)  # ours, from the checkout

    def many(self, what: str, version: str, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (self.work / version / "many.json").write_text(json.dumps(tasks))
        (self.work / version / "many.py").write_text((SCENES / "many.py").read_text())
        out = self.work / secrets.token_hex(4)
        done = run_locked(self.image, self.work / version, out, "python3", "/in/many.py", what)
        assert done.returncode == 0, done.stderr[-2000:]
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def bundle_bytes(self, version: str, name: str) -> int:
        files = (self.work / version / name).rglob("*")
        return BUNDLES.get(name) or sum(one.stat().st_size for one in files if one.is_file())


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    if not engine.answers():
        engine.ensure(Layout.of())
    return Studio(tmp_path_factory.mktemp("inspection"))


@pytest.fixture(scope="module")
def verdicts(studio: Studio) -> dict[tuple[str, str], Verdict]:
    found = {}
    for version in VERSIONS:
        reports = studio.many("survey", version, [{"blend": f"/in/{name}/scene.blend"} for name in EXPECTED])
        for name, report in zip(EXPECTED, reports, strict=True):
            facts = read_report(a_grant(), json.dumps(report).encode()).facts
            assert facts is not None, (version, name)
            found[version, name] = judged(facts, (), RenderSettings(), LARGEST, studio.bundle_bytes(version, name))
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scene", EXPECTED)
def test_each_flaw_has_its_one_finding_and_a_sound_file_none(
    verdicts: dict[tuple[str, str], Verdict], scene: str, version: str
) -> None:
    wanted = None if (version, scene) in SILENT_WITHOUT_SOUND else EXPECTED[scene]
    found = [one for one in verdicts[version, scene].findings if one.code not in BESIDE.get(scene, ())]
    assert [(one.code, one.severity, one.change) for one in found] == ([wanted] if wanted else [])


@pytest.mark.parametrize(
    ("scene", "support"),
    [
        ("clean", Support.SUPPORTED),
        ("script", Support.SUPPORTED),
        ("movie_output", Support.WITH_CHANGES),
        ("half_resolution", Support.WITH_CHANGES),
        ("eevee", Support.WITH_CHANGES),
        ("missing_strip", Support.WITH_CHANGES),
        ("missing_image", Support.UNSUPPORTED),
        ("newer", Support.UNSUPPORTED),
    ],
)
def test_a_file_is_supported_or_with_changes_or_not(
    verdicts: dict[tuple[str, str], Verdict], scene: str, support: Support
) -> None:
    assert {verdicts[version, scene].support for version in VERSIONS} == {support}


@pytest.fixture(scope="module")
def pictures(studio: Studio) -> dict[tuple[str, str], dict[str, Any]]:
    """(scene, change or "") → frame → pixel hash."""
    asked = [("clean", ""), ("movie_output", Change.PICTURES_INSTEAD_OF_VIDEO), ("file_outputs", Change.WITHOUT_FILE_OUTPUTS)]
    asked += [one for scene, change in CHANGED for one in ((scene, ""), (scene, change))]
    tasks = [_task(scene, [1], change) for scene, change in asked]
    return dict(zip(asked, studio.many("render", "5.0", tasks), strict=True))


def _task(scene: str, frames: list[int], change: str = "") -> dict[str, Any]:
    settings = {"changes": [str(change)]} if change else {}
    return {"blend": f"/in/{scene}/scene.blend", "frames": frames, "settings": settings}


@pytest.mark.parametrize(("scene", "change"), CHANGED)
def test_a_change_renders_what_the_file_alone_does_not(
    pictures: dict[tuple[str, str], dict[str, Any]], scene: str, change: Change
) -> None:
    clean = pictures["clean", ""]
    assert pictures[scene, change] == clean
    assert pictures[scene, ""] != clean, "without the change it is refused or another picture"


@pytest.mark.parametrize(
    ("scene", "change"),
    [("movie_output", Change.PICTURES_INSTEAD_OF_VIDEO), ("file_outputs", Change.WITHOUT_FILE_OUTPUTS)],
)
def test_changes_of_what_is_written_leave_the_picture_as_it_is(
    pictures: dict[tuple[str, str], dict[str, Any]], scene: str, change: Change
) -> None:
    assert "1" in pictures[scene, change], pictures[scene, change]


@pytest.mark.parametrize("scene", ["cloth", "simulation_nodes"])
def test_stepped_simulations_look_the_same_wherever_a_chunk_begins(studio: Studio, scene: str) -> None:
    step = Change.STEP_SIMULATIONS
    tasks = [_task(scene, list(range(1, 9))), _task(scene, [8, 6], step), _task(scene, [6])]
    whole, chunk, careless = studio.many("render", "5.0", tasks)
    assert (chunk["6"], chunk["8"]) == (whole["6"], whole["8"])
    assert careless["6"] != whole["6"], "without the change a chunk begins its simulation in the middle"


def test_particles_that_fly_need_no_bake(studio: Studio) -> None:
    whole, alone = studio.many("render", "5.0", [_task("particles", list(range(1, 9))), _task("particles", [8])])
    assert alone["8"] == whole["8"]
    assert whole["8"] != whole["1"]
