"""What a lender keeps free of his disk stays free while pictures come, and what is only kept for later makes room for them."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from agent import keeping
from agent.bundle import BundleCache
from agent.desk import Desk
from agent.domain import machine
from agent.domain.attempt import Attempt, Phase, Standing
from agent.journal import Journal
from agent.process import Processes
from agent.runner import Runner
from agent.settings import AgentSettings
from agent.traces import AttemptTrace
from agent.workplace import Workplace
from contracts.events import Fault
from tests.unit.agent.builders import Life, a_grant, a_picture, an_assignment
from tests.unit.agent.test_keeping import WANTED, a_place
from tests.unit.agent.test_moving import an_archive
from tests.waiting import until

EVERYTHING = 1 << 60
DRIVER = r"""
import json, struct, sys, zlib

def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

def say(**claim):
    sys.stdout.buffer.write(json.dumps(claim).encode() + b"\n")
    sys.stdout.buffer.flush()

rows = (b"\0" + bytes(3 * 192)) * 108
head = chunk(b"IHDR", struct.pack(">IIBBBBB", 192, 108, 8, 2, 0, 0, 0))
png = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
say(event="hello", protocol=2, blender="5.0.1")
say(event="opened")
say(event="frame", frame=1, bytes=len(png), seconds=0.1, cpu_seconds=0.1)
sys.stdout.buffer.write(png)
say(event="done")
"""


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Workplace]:
    """Its renderer is a black picture."""
    async with httpx.AsyncClient() as http:
        place = a_place(tmp_path / "home", http)
        (tmp_path / "driver.py").write_text(DRIVER)
        own = {"agent_driver": tmp_path, "agent_blender_python": Path(sys.executable), "agent_keep_free_bytes": 0}
        place.settings = AgentSettings.model_validate({**place.settings.model_dump(), **own})
        place.engine = Processes(place.journal.home(), place.settings, "")
        place.slots = asyncio.Semaphore(1)
        yield place
        await place.background.finish(10)
        await place.engine.sweep(frozenset)
        place.journal.close()


def keep_free(place: Workplace, count: int) -> None:
    place.settings = place.settings.model_copy(update={"agent_keep_free_bytes": count})


@pytest.mark.parametrize("kept", [EVERYTHING, 0])
async def test_a_picture_is_not_written_into_what_its_owner_keeps_free(place: Workplace, tmp_path: Path, kept: int) -> None:
    await place.cache.add(WANTED, an_archive(tmp_path / "a.zip", 400))
    keep_free(place, kept)
    attempt, actions = machine.begin(an_assignment(grant=a_grant(1, bundle=WANTED)), place.now(), place.now() + 600)
    place.journal.open_attempt(attempt, {}, 600)
    runner = Runner(place, attempt, AttemptTrace({}, {}), lambda _: None, lambda _: None)
    runner.begin(actions)
    await until(lambda: runner.attempt.phase in (Phase.DELIVERING, Phase.ENDED), "it has rendered", 60)
    assert place.folders.picture(attempt.id, 1).exists() is (kept == 0), runner.attempt.ending
    assert runner.attempt.ending is not None
    assert runner.attempt.ending.fault is (Fault.MACHINE if kept else None)
    assert ("keep free" in runner.attempt.ending.text) is bool(kept)


@pytest.mark.parametrize("is_needed", [True, False])
async def test_scenes_that_are_kept_for_later_make_room_for_a_picture(place: Workplace, tmp_path: Path, is_needed: bool) -> None:
    kept = EVERYTHING if is_needed else 0
    place.cache = BundleCache(tmp_path / "cache", most_bytes=1 << 30, keep_free_bytes=0)
    await place.cache.add(WANTED, an_archive(tmp_path / "a.zip", 400))
    place.cache = BundleCache(tmp_path / "cache", most_bytes=1 << 30, keep_free_bytes=kept)
    keep_free(place, kept)
    if is_needed:
        with pytest.raises(OSError, match="no room"):
            await keeping.make_room(place, 1)
    else:
        await keeping.make_room(place, 1)
    assert (place.cache.find(WANTED) is None) is is_needed


def delivered(journal: Journal) -> Attempt:
    """By a former run."""
    life = Life.rendering(an_assignment(1)).renders(1).exits().delivers(1)
    first = Life.rendering(an_assignment(1)).attempt
    journal.open_attempt(first, {}, 600)
    journal.record(first, life.attempt, [], {})
    assert [held.standing for held in life.attempt.frames] == [Standing.COMPLETED]
    return life.attempt


@pytest.mark.parametrize("is_needed", [True, False])
async def test_pictures_that_were_delivered_make_room_for_the_next_one(place: Workplace, is_needed: bool) -> None:
    path = place.folders.picture(delivered(place.journal).id, 1)
    path.parent.mkdir()
    path.write_bytes(bytes(a_picture(1).bytes))
    free = shutil.disk_usage(path.parent).free
    keep_free(place, EVERYTHING if is_needed else free // 2 - keeping.NEXT_BYTES)
    desk = Desk(place)
    assert desk.recover() == 1
    desk._make_room()
    assert path.exists() is not is_needed
