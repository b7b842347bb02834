"""After a power cut the cache holds whole bundles only: one is on the disk before it has its name, and what was emptied goes."""

import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from agent import durable
from agent.bundle import BundleCache
from tests.unit.agent.test_moving import HASH

OTHER = "d" * 64
FILES = {"scene.blend": b"s" * 1_000, "textures/wood.png": b"w" * 500, "textures/empty.txt": b""}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, body in FILES.items():
            packed.writestr(name, body)
    return path


def a_cache(folder: Path) -> BundleCache:
    return BundleCache(folder / "cache", most_bytes=1 << 30, keep_free_bytes=0)


@contextmanager
def calls_of(*functions: Any) -> Iterator[list[tuple[str, str]]]:
    """The system calls this thread makes through these: each by its name, and whose file or folder it was for."""
    made: list[tuple[str, str]] = []

    def look(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called in functions:
            opened = frame.f_locals.get("opened")
            made.append((called.__name__, os.readlink(f"/proc/self/fd/{opened}") if isinstance(opened, int) else ""))

    sys.setprofile(look)
    try:
        yield made
    finally:
        sys.setprofile(None)


def test_everything_of_a_bundle_is_on_the_disk_before_it_has_its_name_and_that_before_its_archive_goes(
    tmp_path: Path, archive: Path
) -> None:
    cache = a_cache(tmp_path)
    downloaded = archive.rename(cache.archive(HASH))
    with calls_of(os.fsync, os.rename, os.unlink) as made:
        cache._add(HASH, downloaded, frozenset())
    names = [name for name, _ in made]
    new, named = f"{tmp_path}/cache/.new-{HASH}", names.index("rename")
    before = {of.removeprefix(new) for name, of in made[:named] if name == "fsync"}
    assert before == {"", "/bytes", "/files", "/files/textures", *(f"/files/{name}" for name in FILES)}
    assert made[named + 1 :] == [("fsync", f"{tmp_path}/cache"), ("unlink", "")]


def test_of_very_many_files_none_waits_for_the_disk_alone(tmp_path: Path) -> None:
    for number in range(durable.MANY + 1):
        (tmp_path / str(number)).touch()
    with calls_of(os.fsync, os.sync) as made:
        durable.sync_tree(tmp_path)
    assert made == [("sync", "")]


def _emptied(entry: Path) -> None:
    for path in entry.rglob("*.*"):
        os.truncate(path, 0)


def _one_shorter(entry: Path) -> None:
    os.truncate(entry / "files/textures/wood.png", 499)


def _one_gone(entry: Path) -> None:
    (entry / "files/scene.blend").unlink()


def _size_emptied(entry: Path) -> None:
    os.truncate(entry / "bytes", 0)


def _size_gone(entry: Path) -> None:
    (entry / "bytes").unlink()


@pytest.mark.parametrize("damage", [_emptied, _one_shorter, _one_gone, _size_emptied, _size_gone])
async def test_a_kept_bundle_that_lost_its_content_goes_at_the_next_start_and_the_others_stay(
    tmp_path: Path, archive: Path, damage: Callable[[Path], None]
) -> None:
    cache = a_cache(tmp_path)
    await cache.add(OTHER, archive)
    files = await cache.add(HASH, archive)
    assert set(a_cache(tmp_path).names(10)) == {HASH, OTHER}, "whole ones stay"
    damage(files.parent)
    again = a_cache(tmp_path)
    assert (again.names(10), again.find(HASH)) == ((OTHER,), None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [OTHER]
    assert sorted(path.name for path in (await again.add(HASH, archive)).iterdir()) == ["scene.blend", "textures"]
