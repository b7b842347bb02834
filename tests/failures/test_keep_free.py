"""What a lender keeps free of his disk stays free while a bundle is unpacked, on a real file system of a megabyte."""

import shutil
from pathlib import Path

import pytest

from agent.bundle import BundleCache
from tests.failures.ward import an_archive, small_disk

KILOBYTE = 1 << 10
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
