"""The render image under the locks a lender's machine puts on it: what it renders, refuses, notices, and cannot do."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.images.rendering import render_image_id
from infra.images.sandbox import DRIVER, SURVEY, run_locked
from infra.local import engine
from tests.scenes.pixels import pixel_sha256

MANY_SURVEYS = (
    "python3",
    "-c",
    "import sys; sys.path.insert(0, '/opt/framelend'); import json; from events import take_stdout; out = take_stdout();"
    "import survey, task; out.write(json.dumps({name: survey.bounded(survey.survey(task.parse_task("
    "{'blend': f'/in/{name}/scene.blend'}))[0]) for name in sys.argv[1].split()}))",
)
"""Many scenes surveyed by one process, because a Blender takes a second to start."""
MISSING = {"image", "volume", "library", "cache", "light profile"}
UNBAKED = {"CLOTH", "SOFT_BODY", "FLUID", "DYNAMIC_PAINT", "SIMULATION_NODES", "RIGID_BODY"}

SHOTS = [[-1_048_574, 3, 0], [4, 4, 1], [5, 5, 2], [6, 6, 3], [7, 7, 0], [8, 1_048_573, 1], [1_048_574, 1_048_574, 0]]
"""[first, last, look] of the scene that is cut."""


@dataclass(frozen=True)
class Run:
    """What a container said and left behind."""

    code: int
    events: list[dict[str, Any]]
    out: Path
    stderr: str

    def of(self, event: str) -> list[dict[str, Any]]:
        return [found for found in self.events if found["event"] == event]

    @property
    def error(self) -> dict[str, Any]:
        return self.of("error")[0]

    @property
    def hashes(self) -> dict[int, str]:
        return {frame["frame"]: frame["pixel_sha256"] for frame in self.of("frame")}


class Farmhand:
    """Runs scenes in the image, each run in folders of its own."""

    def __init__(self, image: str, scenes: Path, work: Path) -> None:
        self.image, self.scenes, self.work = image, scenes, work

    def folders(self, scene: str, **task: Any) -> tuple[Path, Path]:
        place = self.work / secrets.token_hex(4)
        place.mkdir()
        subprocess.run(["cp", "-r", self.scenes / scene, place / "bundle"], check=True)
        task = {"blend": "/in/bundle/scene.blend", "frames": [1], **task}
        (place / "task.json").write_text(json.dumps(task))
        return place, self.work / f"{place.name}-out"

    def render(self, scene: str, *, command: tuple[str, ...] = DRIVER, file_bytes: int = 2 << 30, **task: Any) -> Run:
        inside, out = self.folders(scene, **task)
        done = run_locked(self.image, inside, out, *command, file_bytes=file_bytes)
        return Run(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], out, done.stderr)

    def survey(self, bundle: str, code: int = 0, **settings: Any) -> dict[str, Any]:
        inside, out = self.folders(bundle, settings=settings)
        done = run_locked(self.image, inside, out, *SURVEY)
        assert done.returncode == code, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture(scope="module")
def farmhand(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Farmhand:
    return Farmhand(render_image_id(), scenes, tmp_path_factory.mktemp("render"))


def test_frames_are_rendered_in_the_order_asked_and_reported_one_by_one(farmhand: Farmhand) -> None:
    run = farmhand.render("ok_small", frames=[8, 1, -3])
    assert run.code == 0
    assert [event["event"] for event in run.events if event["event"] != "progress"] == [
        *("hello", "opened", "frame", "frame", "frame", "done")
    ]
    assert [frame["path"] for frame in run.of("frame")] == ["/out/000008.png", "/out/000001.png", "/out/-000003.png"]
    assert sorted(path.name for path in run.out.glob("*.png")) == ["-000003.png", "000001.png", "000008.png"]
    for frame in run.of("frame"):
        assert (frame["width"], frame["height"]) == (192, 108)
        assert frame["cpu_seconds"] > 0
        assert frame["rss_bytes"] > 100_000_000
        assert frame["bytes"] == (run.out / Path(frame["path"]).name).stat().st_size


def test_two_renders_of_a_frame_have_equal_pixels_and_two_frames_do_not(farmhand: Farmhand) -> None:
    first, second = farmhand.render("ok_small", frames=[1, 8]), farmhand.render("ok_small", frames=[8, 1])
    assert first.hashes == second.hashes
    assert first.hashes[1] != first.hashes[8]


@pytest.mark.parametrize(("scene", "depth"), [("ok_small", "8"), ("ok_small", "16"), ("movie_output", "8")])
def test_the_pixel_hash_is_what_pillow_finds_outside(farmhand: Farmhand, scene: str, depth: str) -> None:
    run = farmhand.render(scene, settings={"color_depth": depth})
    (frame,) = run.of("frame")
    assert frame["bits"] == int(depth)
    assert frame["pixel_sha256"] == pixel_sha256(run.out / "000001.png")


def test_settings_and_probe_scale_decide_the_size_of_the_picture(farmhand: Farmhand) -> None:
    settings = {"width": 100, "height": 75, "percentage": 80, "samples": 1, "camera": "camera", "scene": "second"}
    (frame,) = farmhand.render("two_scenes", settings=settings, scale_percent=50).of("frame")
    assert (frame["width"], frame["height"]) == (40, 30)


def test_float_pictures_are_written_and_hashed_too(farmhand: Farmhand) -> None:
    run = farmhand.render("ok_small", settings={"format": "OPEN_EXR", "color_depth": "32"})
    (frame,) = run.of("frame")
    assert (frame["path"], frame["bits"]) == ("/out/000001.exr", 32)
    assert (run.out / "000001.exr").read_bytes()[:4] == b"v/1\x01"


def test_an_outside_texture_reaches_the_picture(farmhand: Farmhand) -> None:
    assert farmhand.render("textured").hashes != farmhand.render("ok_small").hashes


@pytest.mark.parametrize(
    ("scene", "settings", "code", "error", "words"),
    [
        ("no_camera", {}, 4, "no_camera", "no camera"),
        ("ok_small", {"camera": "drone"}, 4, "no_camera", "drone"),
        ("ok_small", {"scene": "encore"}, 4, "no_scene", "encore"),
        ("eevee", {}, 4, "engine", "EEVEE"),
        ("workbench", {}, 4, "engine", "WORKBENCH"),
        ("truncated", {}, 3, "cannot_open", "Missing DNA block"),
        ("not_a_blend", {}, 3, "cannot_open", "not supported"),
        ("newer", {}, 3, "newer_blender", "99.0"),
        ("zoo", {}, 4, "missing_file", "and 4 more"),
        ("ok_small", {"format": "GIF"}, 2, "bad_task", "GIF"),
    ],
)
def test_what_cannot_be_rendered_is_refused_with_its_reason(
    farmhand: Farmhand, scene: str, settings: dict[str, Any], code: int, error: str, words: str
) -> None:
    run = farmhand.render(scene, settings=settings)
    assert (run.code, run.error["code"]) == (code, error)
    assert words in run.error["text"]
    assert run.of("done") == []
    assert list(run.out.glob("*.png")) == []


@pytest.mark.parametrize("form", ["PNG", "OPEN_EXR"])
def test_a_full_disk_is_noticed_although_blender_calls_it_success(farmhand: Farmhand, form: str) -> None:
    run = farmhand.render("ok_small", file_bytes=20_000, settings={"format": form})
    assert (run.code, run.error["code"], run.error["frame"]) == (5, "bad_output", 1)
    assert "Saved" in run.stderr, "blender itself reported success"
    assert run.of("frame") == []
    assert list(run.out.glob("0*")) == []


@pytest.mark.parametrize("scene", ["script", "driver_script"])
def test_scripts_in_a_file_do_not_run(farmhand: Farmhand, scene: str) -> None:
    run = farmhand.render(scene)
    assert run.code == 0
    assert not (run.out / "pwned").exists()
    assert run.of("opened")[0]["autoexec_fail"] is True


def test_an_endless_frame_shows_life_and_ends_when_killed(farmhand: Farmhand) -> None:
    inside, out = farmhand.folders("slow")
    name = f"framelend-test-{secrets.token_hex(4)}"
    ended: list[subprocess.CompletedProcess[str]] = []
    run = threading.Thread(target=lambda: ended.append(run_locked(farmhand.image, inside, out, *DRIVER, name=name)))
    run.start()
    deadline = time.monotonic() + 120
    while "Sample " not in (said := engine.docker("logs", name).stdout):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    engine.docker("kill", name)
    run.join(120)
    assert ended[0].returncode == 137
    assert list(out.glob("*.png")) == []


def test_a_survey_tells_the_scene_as_it_is(farmhand: Farmhand) -> None:
    report = farmhand.survey("ok_small")
    scene = report["scene"]
    assert (scene["engine"], scene["samples"], scene["camera"]) == ("CYCLES", 4, "camera")
    assert (scene["frame_start"], scene["frame_end"], scene["fps"]) == (1, 8, 24)
    assert (scene["picture_width"], scene["picture_height"]) == (192, 108)
    assert report["saved_by"].startswith("5.0")
    assert report["files"] == report["texts"] == report["scripted_drivers"] == []


@pytest.fixture(scope="module")
def surveys(farmhand: Farmhand) -> dict[str, Any]:
    names = (
        "no_camera marker_camera eevee missing_texture missing_unused textured texture_bomb subdivision_bomb "
        "script driver_script movie_output newer two_scenes zoo shots crowded"
    )
    done = run_locked(farmhand.image, farmhand.scenes, farmhand.work / "surveys-out", *MANY_SURVEYS, names)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("scene", "fact"),
    [
        ("no_camera", lambda report: report["scene"]["has_camera"] is False),
        ("marker_camera", lambda report: report["scene"]["marker_cameras"] == [{"frame": 1, "camera": "camera"}]),
        ("eevee", lambda report: report["scene"]["engine"] == "BLENDER_EEVEE"),
        ("missing_texture", lambda report: report["files_missing_used"] == 1 and not report["files"][0]["exists"]),
        ("missing_unused", lambda report: report["files_missing_used"] == 0 and not report["files"][0]["exists"]),
        ("textured", lambda report: report["files"][0]["exists"] and report["files"][0]["width"] == 64),
        ("texture_bomb", lambda report: report["memory_bytes"] > 3_000_000_000 and report["files"][0]["width"] == 24_000),
        ("subdivision_bomb", lambda report: report["vertices"] > 100_000_000),
        ("script", lambda report: report["texts"] == [{"name": "startup.py", "registered": True}]),
        ("driver_script", lambda report: report["scripted_drivers"][0]["owner"] == "cube"),
        ("movie_output", lambda report: report["scene"]["is_movie"] is True),
        ("newer", lambda report: report["newer_than_us"] is True),
        ("zoo", lambda report: {file["kind"] for file in report["files"] if file["used"] and not file["exists"]} == MISSING),
        ("zoo", lambda report: {found["kind"] for found in report["unbaked_simulations"]} == UNBAKED),
        ("zoo", lambda report: report["osl"] and report["file_outputs"] and report["packed_bytes"] > 0),
        ("shots", lambda report: report["shots"] == SHOTS),
        ("crowded", lambda report: report["shots"] == [[-1_048_574, 3, 0], [4, 1_048_574, 1]]),
        ("eevee", lambda report: report["shots"] == []),
        ("two_scenes", lambda report: sorted(report["scenes"]) == ["Scene", "second"]),
    ],
)
def test_a_survey_names_what_is_special(surveys: dict[str, Any], scene: str, fact: Any) -> None:
    assert fact(surveys[scene]), surveys[scene]


def test_a_survey_of_a_broken_file_says_why_it_cannot_be_opened(farmhand: Farmhand) -> None:
    assert farmhand.survey("truncated", code=3)["error"]["code"] == "cannot_open"


def test_a_survey_looks_at_the_scene_that_the_job_names(farmhand: Farmhand) -> None:
    assert farmhand.survey("two_scenes", scene="second")["scene"]["frame_end"] == 3
