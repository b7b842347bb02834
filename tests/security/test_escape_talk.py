"""Attackers' code in the render container talks without end, never ends, or lets scripts of a .blend run."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent.container import Engine
from agent.domain import signals
from agent.domain.attempt import Phase
from agent.domain.watching import IDLE_SECONDS
from contracts.events import Fault
from infra.images.rendering import render_image_id
from tests.security.lair import Lair, Raid, a_lair, hostile_image
from tests.waiting import until

FLOODS = {"talk": {"lines": 60_000}, "shout": {"mebibytes": 80}, "endless_line": {"mebibytes": 64}}
ENDLESS = ("never_end", "reopen")
FRAME_SECONDS = 5
CODE = ("script", "driver_script")
MARK = "escaped42"
"""What the code says when it runs; its own text, which Blender quotes, has it as a sum."""
MORE = 16
"""So many times the flood, where it is to be ended: it must not be over before the kill arrives."""


@pytest.fixture(scope="module")
def image() -> str:
    return hostile_image()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "agent"


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_container_that_floods_us_with_words_is_ended(image: str, home: Path, flood: str) -> None:
    more = {what: number * MORE for what, number in FLOODS[flood].items()}
    async with a_lair(home, image) as lair:
        raid = await lair.attack([(flood, more)], max_seconds_per_frame=60)
    assert flood not in raid.reports, "it was ended before it had said it all"
    assert raid.ending.fault is Fault.MACHINE
    assert "talking" in raid.ending.text or "nonsense" in raid.ending.text


@pytest.mark.parametrize("flood", FLOODS)
async def test_with_that_lock_off_the_same_flood_is_listened_to_until_its_end(image: str, home: Path, flood: str) -> None:
    async with a_lair(home, image, bounded_talk=False) as lair:
        raid = await lair.attack([(flood, FLOODS[flood])], max_seconds_per_frame=60)
    assert raid.reports[flood][0], raid.said


@pytest.mark.parametrize("locked", [True, False])
async def test_what_a_container_says_is_kept_on_the_machines_disk_only_with_that_lock_off(
    image: str, home: Path, locked: bool
) -> None:
    async with a_lair(home, image, no_log_file=locked) as lair:
        raid = await lair.begin([("talk", {"lines": 1_000}), ("hang", {"seconds": 60.0})])
        engine = lair.place.engine
        assert isinstance(engine, Engine)

        async def heard() -> bool:
            return sum(type(one).__name__ == "Progressed" for one in raid.runner.heard) >= 1_000

        await until(heard, "a thousand lines")
        name = f"framelend-{raid.runner.attempt.id}"
        settings = await engine.call(lambda: engine.api.inspect_container(name))
        await lair.withdraw(raid)
    assert (settings["LogPath"] == "") is locked


async def test_an_endless_frame_is_ended_when_its_time_is_over_however_busy_it_looks_or_new_it_claims_to_be(
    image: str, tmp_path: Path
) -> None:
    """Positive control: the same frames, begun before and with a long time allowed, go on beside them."""
    async with a_lair(tmp_path / "patient", image) as patient, a_lair(tmp_path / "strict", image) as strict:
        going = [await patient.begin([(one, {})], max_seconds_per_frame=3_600) for one in ENDLESS]
        lasting = [asyncio.create_task(patient.ended(raid)) for raid in going]
        await until(lambda: going[0].runner.attempt.progress and going[1].runner.attempt.opened, "their first words")
        raids = await asyncio.gather(*(strict.attack([(one, {})], max_seconds_per_frame=FRAME_SECONDS) for one in ENDLESS))
        assert [raid.ending.fault for raid in raids] == [Fault.TIME, Fault.TIME]
        assert raids[0].runner.attempt.progress
        assert raids[1].runner.attempt.opened
        assert [raid.runner.attempt.phase for raid in going] == [Phase.RENDERING, Phase.RENDERING]
        assert not any(task.done() for task in lasting)
        for raid in going:
            raid.runner.feed(signals.Withdrawn("the test is over"))
        await asyncio.gather(*lasting)


@pytest.mark.long
async def test_what_neither_speaks_nor_computes_is_ended(image: str, home: Path) -> None:
    async with a_lair(home, image) as lair:
        raid = await lair.attack([("hang", {"seconds": 3_600.0})], max_seconds_per_frame=3_600)
    assert f"{IDLE_SECONDS} s" in raid.ending.text
    assert raid.ending.fault is Fault.MACHINE


@pytest_asyncio.fixture(loop_scope="session")
async def lairs(tmp_path: Path, image: str) -> AsyncIterator[tuple[Lair, Lair]]:
    """With our image, and with the one whose driver lets scripts run."""
    async with a_lair(tmp_path / "ours", render_image_id()) as ours, a_lair(tmp_path / "theirs", image) as theirs:
        yield ours, theirs


async def rendered(lair: Lair, scene: Path) -> Raid:
    raid = await lair.render({"scene.blend": await asyncio.to_thread((scene / "scene.blend").read_bytes)})
    await lair.ended(raid)
    return raid


@pytest.mark.parametrize("scene", CODE)
async def test_code_in_a_blend_runs_only_with_the_drivers_guard_off(lairs: tuple[Lair, Lair], scenes: Path, scene: str) -> None:
    ours, theirs = await asyncio.gather(*(rendered(lair, scenes / scene) for lair in lairs))
    assert (ours.pictures, theirs.pictures) == ([1], [1])
    assert MARK not in ours.said
    assert MARK in theirs.said
