"""A clock that a turned-back wall clock does not reach, and room on a disk that others fill."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from agent.lasting import CRAMPED_BYTES, LastingClock, Reserve


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "times.db"


def _opened(path: Path) -> LastingClock:
    return LastingClock(sqlite3.connect(path, isolation_level=None))


def test_it_begins_as_the_wall_clock(path: Path) -> None:
    assert abs(_opened(path).now() - time.time()) < 5


@pytest.mark.parametrize("turned", [-600.0, 600.0, 1e9])
def test_a_clock_that_was_turned_since_changes_nothing_within_one_boot(path: Path, turned: float) -> None:
    """The clock was written down when it was `turned` from what it is now."""
    _opened(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update clock set ahead = ahead + ?", (turned,))
    assert abs(_opened(path).now() - turned - time.time()) < 5


def test_after_another_boot_the_wall_clock_counts_again(path: Path) -> None:
    _opened(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update clock set boot = 'another', ahead = 0")
    assert abs(_opened(path).now() - time.time()) < 5
    assert abs(_opened(path).now() - time.time()) < 5


def test_the_reserve_holds_its_room_until_the_disk_is_full(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "r", size=1 << 20)
    assert os.stat(tmp_path / "r").st_blocks * 512 >= 1 << 20
    assert not reserve.full
    reserve.look()
    assert os.stat(tmp_path / "r").st_size == 1 << 20


class _SmallDisk(Reserve):
    """A disk with as much room as the test says: the real one is filled in tests/faults."""

    room = 1 << 40

    def _free(self) -> int:
        return self.room


def test_on_a_full_disk_it_is_given_up_and_taken_again_when_there_is_room(tmp_path: Path) -> None:
    reserve = _SmallDisk(tmp_path / "r", size=1 << 20)
    reserve.room = CRAMPED_BYTES - 1
    reserve.look()
    assert reserve.full
    assert (tmp_path / "r").stat().st_size == 0
    reserve.room = CRAMPED_BYTES + (1 << 20)
    reserve.look()
    assert reserve.full, "the room that was given up is not yet room for work"
    reserve.room = 1 << 30
    reserve.look()
    assert not reserve.full
    assert (tmp_path / "r").stat().st_size == 1 << 20


def test_a_reserve_that_never_found_room_is_not_missed_until_the_disk_is_full(tmp_path: Path) -> None:
    _SmallDisk.room = 1 << 24
    try:
        reserve = _SmallDisk(tmp_path / "r", size=1 << 24)
    finally:
        _SmallDisk.room = 1 << 40
    assert not (tmp_path / "r").exists()
    assert not reserve.full
