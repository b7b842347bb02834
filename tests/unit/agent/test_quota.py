"""A quota that is used up: the file system shows room, and what is written fails."""

import multiprocessing
import resource
import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from agent.journal import Journal, NoRoom
from agent.lasting import RESERVE_BYTES
from tests.unit.agent.test_no_room import GIVEN_BACK

T = TypeVar("T")
HEADROOM = 64 << 10


def _in_a_process_of_its_own(what: Callable[[Path], T], path: Path) -> T:
    """What it writes is limited there as by a quota: a file that grows too large is refused as one, with another number."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(what, path).result(60)


def _limited(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def _fills_its_quota(path: Path) -> list[Any]:
    found: list[Any] = []
    with closing(Journal(path)) as journal:
        found.append((journal.reserve.full, path.with_suffix(".reserve").stat().st_size))
        _limited(path.with_name("journal.db-wal").stat().st_size + HEADROOM)
        journal.keep(GIVEN_BACK, {})
        try:
            journal.keep(GIVEN_BACK, {"traceparent": "x" * (1 << 20)})
        except NoRoom:
            found.append((journal.reserve.full, path.with_suffix(".reserve").stat().st_size, journal.depth()))
        journal.keep(GIVEN_BACK, {})
        journal.reserve._try_at = 0.0
        journal.reserve.look()
        found.append((journal.reserve.full, path.with_suffix(".reserve").exists(), journal.depth()))
        _limited(RESERVE_BYTES + HEADROOM)
        journal.reserve._try_at = 0.0
        journal.reserve.look()
        found.append(journal.reserve.full)
        _limited(resource.RLIM_INFINITY)
        journal.reserve.look()
        found.append(journal.reserve.full)
        journal.reserve._try_at = 0.0
        journal.keep(GIVEN_BACK, {})
        found.append((journal.reserve.full, path.with_suffix(".reserve").stat().st_size, journal.depth()))
    return found


def test_a_quota_that_is_used_up_is_a_full_disk_although_there_is_room_on_it(tmp_path: Path) -> None:
    before, refused, tried, scarce, soon, after = _in_a_process_of_its_own(_fills_its_quota, tmp_path / "journal.db")
    assert before == (False, RESERVE_BYTES)
    assert refused == (True, 0, 1), "the reserve is spent, and nothing was written"
    assert tried == (True, False, 2), "room that cannot be taken is none"
    assert scarce, "room for the reserve alone would be full again at the next word"
    assert soon, "not tried again at once"
    assert after == (False, RESERVE_BYTES, 3)


def _starts_with_its_quota_used_up(path: Path) -> tuple[str, int]:
    Journal(path).close()
    _limited(4 << 10)
    try:
        Journal(path).close()
    except sqlite3.OperationalError as failed:
        return failed.sqlite_errorname, path.with_suffix(".reserve").stat().st_size
    return "opened", -1


def test_an_agent_that_starts_with_its_quota_used_up_has_the_reserve_to_open_its_journal_with(tmp_path: Path) -> None:
    """Here giving it up frees nothing, so that it is seen to be given up."""
    assert _in_a_process_of_its_own(_starts_with_its_quota_used_up, tmp_path / "journal.db") == ("SQLITE_IOERR_SHMSIZE", 0)
