"""What a hostile container hands over instead of its frame: nothing of it is believed, nothing of the machine is read for it."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.security.lair import Raid, a_lair, hostile_image
from tests.waiting import until

MOST = 1 << 20
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "frame_of_others": ({}, "frame it was not given"),
    "no_picture": ({}, "picture is bad"),
    "empty_picture": ({}, "not within"),
    "too_large_a_picture": ({"most": MOST}, "not within"),
    "announced_too_large": ({}, "not within"),
    "negative_size": ({}, "nonsense"),
    "more_announced_than_given": ({}, "exit code"),
    "cut_off": ({}, "cut off"),
    "another_size": ({}, "192x107"),
    "bomb": ({}, "60000x60000"),
    "right_head_wrong_body": ({}, "picture is bad"),
}
"""Lie → its details, and what it is called."""
HONEST = "honest_picture"
AT_ONCE = 3


@pytest.fixture(scope="module")
def image() -> str:
    return hostile_image()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def raids(image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Raid]:
    details = {HONEST: {}, "more_given_than_announced": {}, **{lie: details for lie, (details, _) in LIES.items()}}
    async with a_lair(tmp_path_factory.mktemp("lies") / "agent", image) as lair:
        made = await asyncio.gather(*(lair.attack([one], grant={"max_bytes": MOST}) for one in details.items()))
    return dict(zip(details, made, strict=True))


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_gives_no_frame_and_is_called_by_its_name(raids: dict[str, Raid], lie: str) -> None:
    assert raids[lie].pictures == []
    assert LIES[lie][1] in raids[lie].ending.text


async def test_a_true_picture_from_the_same_hands_is_taken(raids: dict[str, Raid]) -> None:
    assert raids[HONEST].pictures == [1]


async def test_what_follows_a_picture_unannounced_is_no_part_of_it(raids: dict[str, Raid]) -> None:
    raid = raids["more_given_than_announced"]
    assert raid.pictures == [1]
    assert "nonsense" in raid.ending.text


@pytest.mark.parametrize("locked", [True, False])
async def test_links_in_the_output_lie_on_the_machine_only_with_that_lock_off(image: str, tmp_path: Path, locked: bool) -> None:
    secret = tmp_path / "secret"
    secret.write_text(word := uuid4().hex)
    async with a_lair(tmp_path / "agent", image, output_in_memory=locked) as lair:
        raid = await lair.begin([("plant_links", {"target": str(secret)}), ("talk", {"lines": 1}), ("hang", {"seconds": 60.0})])
        await until(lambda: raid.runner.attempt.progress, "the links are planted")
        work = tmp_path / "agent" / "work" / raid.runner.attempt.id
        planted = {path.name: path.is_fifo() or path.read_text() for path in work.glob("out/*") if path.suffix == ".png"}
        await lair.withdraw(raid)
    assert planted == ({} if locked else {"000001.png": word, "000002.png": True, "000003.png": "x"})
