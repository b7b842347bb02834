"""What a lender keeps free of his disk stays free while a bundle is unpacked, on a real file system of a megabyte; and scenes
that are kept only for later do not keep the next one out."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.bundle import BundleCache
from agent.desk import Desk
from contracts.bus import new_id
from tests.failures.ward import an_archive, small_disk
from tests.security.lair import a_lair
from tests.unit.agent.builders import IMAGE, a_grant, an_assignment

KILOBYTE = 1 << 10
SOON = datetime(2100, 1, 1, tzinfo=UTC)
DISK, KEPT = 1_024, 512
BUNDLES = {
    "one large file": {"scene.blend": bytes(800 * KILOBYTE)},
    "files that take whole blocks": {f"{number}.bin": b"x" for number in range(200)},
}


@pytest.mark.parametrize("files", BUNDLES.values(), ids=BUNDLES)
@pytest.mark.parametrize("kept", [KEPT, 0])
async def test_a_bundle_is_unpacked_only_into_what_its_owner_does_not_keep_free(
    tmp_path: Path, files: dict[str, bytes], kept: int
) -> None:
    (archive := tmp_path / "archive").write_bytes(an_archive(files))
    (folder := tmp_path / "cache").mkdir()
    with small_disk(folder, kilobytes=DISK):
        cache = BundleCache(folder, most_bytes=1 << 30, keep_free_bytes=kept * KILOBYTE)
        if kept:
            with pytest.raises(OSError, match="no room"):
                await cache.add("c" * 64, archive)
            assert list(folder.iterdir()) == []
        else:
            await cache.add("c" * 64, archive)
            assert shutil.disk_usage(folder).free < KEPT * KILOBYTE


@pytest.mark.parametrize("in_use", [False, True])
async def test_what_was_used_longest_ago_makes_room_and_what_is_in_use_does_not(tmp_path: Path, in_use: bool) -> None:
    (archive := tmp_path / "archive").write_bytes(an_archive({"scene.blend": bytes(300 * KILOBYTE)}))
    (folder := tmp_path / "cache").mkdir()
    with small_disk(folder, kilobytes=DISK):
        cache = BundleCache(folder, most_bytes=1 << 30, keep_free_bytes=0)
        for name in "ab":
            await cache.add(name * 64, archive)
        assert cache.spare_bytes() == 2 * 300 * KILOBYTE
        with cache.used(("a" if in_use else "c") * 64):
            assert cache.spare_bytes() == (1 if in_use else 2) * 300 * KILOBYTE
            await cache.make_room(600 * KILOBYTE)
        assert cache.names(9) == (("a" if in_use else "b") * 64,)


@pytest.mark.parametrize("kept_for_later", [1 << 50, 0])
async def test_a_disk_that_is_full_of_scenes_kept_for_later_takes_work_and_one_that_is_full_of_other_things_does_not(
    tmp_path: Path, kept_for_later: int
) -> None:
    async with a_lair(tmp_path / "agent", IMAGE) as lair:
        lair.place.settings = lair.place.settings.model_copy(update={"agent_keep_free_bytes": 1 << 49})
        entry = lair.folders.cache / ("a" * 64)
        entry.mkdir()
        (entry / "bytes").write_text(str(kept_for_later))
        desk = Desk(lair.place)
        desk.images = (IMAGE,)
        desk.take(an_assignment(grant=a_grant(agent=lair.agent, attempt=new_id(), until=SOON)), {}, None)
        desk.stop()
        assert [why.split()[0] for _, _, why in desk.refused] == ([] if kept_for_later else ["needs"])
