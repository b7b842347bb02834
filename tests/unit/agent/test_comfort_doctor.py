"""What the doctor finds on machines that are not fit."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from agent import doctor
from agent.doctor import Finding
from agent.lender import Accept
from agent.process import GIVES_UP
from agent.settings import AgentSettings
from agent.workplace import CACHE

DRIVER = Path("infra/images/render")
NO_DOCKER = "tcp://127.0.0.1:1"


def settings(folder: Path, **changes: Any) -> AgentSettings:
    return AgentSettings(agent_file=folder / "agent.json", agent_dir=folder / "home", **changes)


async def examined(folder: Path, **changes: Any) -> dict[str, Finding]:
    return {one.what: one for one in await doctor.examined(settings(folder, **changes))}


async def test_without_docker_and_enrolment_both_are_named_with_how_to_mend_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    found = await examined(tmp_path)
    assert found["Docker"].is_bad
    assert "usermod -aG docker" in found["Docker"].mend
    assert found["enrolment"].is_bad
    assert "framelend-agent enrol" in found["enrolment"].mend
    assert "container" not in found


async def test_docker_is_not_looked_for_where_it_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    assert "Docker" not in await examined(tmp_path, agent_executor="process")


def a_python(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


async def test_without_containers_all_that_this_needs_is_looked_for_and_what_it_gives_up_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    whole: dict[str, Any] = {
        "agent_executor": "process",
        "accept": Accept(renters=("rita",)),
        "agent_blender_python": a_python(tmp_path / "good", "printf /nowhere"),
        "agent_driver": DRIVER,
        "agent_image": "sha256:" + "a" * 64,
    }
    found = await examined(tmp_path, **whole)
    assert (found["executor"].ok, GIVES_UP in found["executor"].text, "render image" in found) == (None, True, False)
    for lacking, words in (
        ({"accept": Accept()}, "needs [accept] renters"),
        ({"agent_driver": None}, "FRAMELEND_AGENT_DRIVER"),
        ({"agent_driver": tmp_path}, "holds no driver.py"),
        ({"agent_blender_python": a_python(tmp_path / "dumb", "exit 0")}, "cannot import bpy"),
        ({"agent_blender_python": a_python(tmp_path / "bad", "echo no module named bpy >&2; exit 1")}, "cannot import bpy"),
    ):
        seen = (await examined(tmp_path, **{**whole, **lacking}))["executor"]
        assert (seen.is_bad, words in seen.text) == (True, True), seen
    assert (await examined(tmp_path, **{**whole, "agent_image": None}))["render image"].is_bad


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"agent_memory_bytes": 1 << 50}, "memory"),
        ({"agent_memory_bytes": 3_000_000_000, "agent_slots": 2}, "memory"),
        ({"agent_keep_free_bytes": 1 << 60}, "disk"),
    ],
)
async def test_lending_more_than_there_is_or_less_than_a_slot_needs_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], what: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    assert (await examined(tmp_path, **changes))[what].is_bad
    fair = {"agent_memory_bytes": 2_000_000_000, "agent_keep_free_bytes": 0}
    assert not (await examined(tmp_path, **fair))["memory"].is_bad


async def test_scenes_that_are_kept_for_later_leave_the_disk_as_good_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    full = {"agent_keep_free_bytes": shutil.disk_usage(tmp_path).total}
    assert (await examined(tmp_path, **full))["disk"].is_bad
    entry = tmp_path / "home" / CACHE / ("a" * 64)
    entry.mkdir(parents=True)
    (entry / "bytes").write_text(str(full["agent_keep_free_bytes"] + 6_000_000_000))
    found = (await examined(tmp_path, **full))["disk"]
    assert (found.is_bad, "by scenes that are kept for later" in found.text) == (False, True), found


async def test_a_credential_that_others_can_read_is_no_enrolment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    (tmp_path / "agent.json").write_text("{}")
    (tmp_path / "agent.json").chmod(0o644)
    assert "chmod 600" in (await examined(tmp_path))["enrolment"].text


async def test_a_folder_that_cannot_be_made_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    (tmp_path / "home").write_text("in the way")
    found = (await examined(tmp_path))["disk"]
    assert (found.is_bad, "File exists" in found.text, "FRAMELEND_AGENT_DIR" in found.mend) == (True, True, True), found
