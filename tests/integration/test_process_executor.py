"""Rendering without a container, on one's own machine: only when it is asked for in so many words, and with the same result."""

import hashlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.container import Engine
from agent.lender import UnusableSettings
from agent.process import GIVES_UP, Processes, chosen
from agent.settings import AgentSettings
from contracts.events import Fault
from infra.images import engine
from infra.images.rendering import HERE, render_image_id
from infra.local.engine import host
from tests.scenes.pixels import pixel_sha256
from tests.security.lair import Lair, Raid
from tests.waiting import until

DRIVER = HERE / "render"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
OWN = ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2")
"""What must be the machine's own, because its loader is."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python of this machine with the render image's own bpy, and the libraries that this machine may lack."""
    folder = tmp_path_factory.mktemp("blender")
    box = engine.docker("create", render_image_id()).stdout.strip()
    try:
        for inside, name in (("/opt/bpy", "bpy"), (LIBRARIES, "lib")):
            copied = subprocess.run(["docker", "-H", host(), "cp", f"{box}:{inside}", folder / name], capture_output=True)
            assert copied.returncode == 0, copied.stderr
    finally:
        engine.docker("rm", "-f", box)
    for name in OWN:
        (folder / "lib" / name).unlink()
    script = folder / "python"
    script.write_text(
        f'#!/bin/sh\nexport LD_LIBRARY_PATH={folder}/lib PYTHONPATH={folder}/bpy:$PYTHONPATH\nexec python3.11 "$@"\n'
    )
    script.chmod(0o755)
    return script


def some_settings(folder: Path, **changes: Any) -> AgentSettings:
    fields = {"agent_file": folder / "agent.json", "agent_dir": folder, "agent_executor": "process", "agent_cpus": 2.0, **changes}
    return AgentSettings(**fields)


INSISTING: dict[str, Any] = {"accept": {"renters": ("me",)}, "agent_executor_insists": True}


async def test_without_a_word_docker_is_what_renders(tmp_path: Path) -> None:
    executor = await chosen(some_settings(tmp_path, agent_executor="docker"), "home")
    assert isinstance(executor, Engine)
    executor.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accept": {"renters": ()}}, "name the accounts"),
        ({"agent_executor_insists": False}, "Docker answers"),
        ({}, "FRAMELEND_AGENT_BLENDER_PYTHON"),
        ({"agent_blender_python": "python3", "agent_driver": "/nowhere"}, "no driver.py"),
        ({"agent_blender_python": "/usr/bin/python3", "agent_driver": DRIVER}, "cannot import bpy"),
        ({"agent_blender_python": "/nowhere/python", "agent_driver": DRIVER}, "cannot be asked"),
    ],
)
async def test_it_is_refused_with_what_is_missing(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UnusableSettings, match=words):
        await chosen(some_settings(tmp_path, **{**INSISTING, **changes}), "home")


@pytest_asyncio.fixture(loop_scope="session")
async def lair(tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lair]:
    """An agent whose chunks are processes; its environment holds a secret."""
    monkeypatch.setenv("FRAMELEND_SECRET", "hunter2")
    it = Lair(tmp_path / "agent", render_image_id())
    settings = some_settings(tmp_path / "agent", agent_blender_python=python, agent_driver=DRIVER, **INSISTING)
    it.place.engine.close()
    it.place.engine = await chosen(settings, it.place.journal.home())
    assert isinstance(it.place.engine, Processes)
    yield it
    await it.close()


async def rendered(lair: Lair, scene: Path) -> Raid:
    raid = await lair.render({"scene.blend": (scene / "scene.blend").read_bytes()}, memory_bytes=4_000_000_000)
    await lair.ended(raid)
    return raid


@pytest.mark.long
async def test_a_process_renders_the_same_pixels_as_the_container(lair: Lair, scenes: Path, tmp_path: Path) -> None:
    bare = await rendered(lair, scenes / "ok_small")
    assert bare.pictures == [1], bare.ending
    boxed = Lair(tmp_path / "boxed", render_image_id())
    try:
        locked = await rendered(boxed, scenes / "ok_small")
    finally:
        await boxed.close()
    (one,), (other,) = bare.runner.attempt.frames, locked.runner.attempt.frames
    assert one.picture.pixel_sha256 == other.picture.pixel_sha256
    kept = lair.folders.spool / bare.runner.attempt.id / "000001.png"
    assert pixel_sha256(kept) == one.picture.pixel_sha256
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == one.picture.file_sha256
    assert not list(lair.folders.work.iterdir())


@pytest.mark.long
async def test_it_knows_nothing_of_the_agents_environment_and_is_ended_with_all_its_processes(lair: Lair, scenes: Path) -> None:
    raid = await lair.render({"scene.blend": (scenes / "slow" / "scene.blend").read_bytes()}, memory_bytes=4_000_000_000)
    home = lair.place.journal.home()
    await until(lambda: _processes(home), "its processes run")
    assert all(b"hunter2" not in environment for environment in _processes(home))
    await lair.withdraw(raid)
    await until(lambda: not _processes(home), "all of them are gone")


@pytest.mark.long
async def test_more_memory_than_lent_is_not_given(lair: Lair, scenes: Path) -> None:
    raid = await rendered(lair, scenes / "subdivision_bomb")
    assert raid.pictures == []
    assert raid.ending.fault is Fault.MEMORY


async def test_what_it_gives_up_is_said_in_plain_words() -> None:
    assert "without a container" in GIVES_UP
    assert "network" in GIVES_UP


def _processes(home: str) -> list[bytes]:
    """Environments of what carries this home's mark."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                environment = (process / "environ").read_bytes()
            except OSError:
                continue
            if f"FRAMELEND_PROCESS_HOME={home}".encode() in environment:
                found.append(environment)
    return found
