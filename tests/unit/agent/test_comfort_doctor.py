"""What the doctor finds on machines that are not fit."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from agent import doctor
from agent.doctor import Finding
from agent.settings import AgentSettings
from agent.workplace import CACHE

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
