"""Bytes that were changed on their way: a bundle in the store after its hash was told, a frame after it was handed over."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.bundle import BundleCache
from contracts.events import ChunkReleased, FramesRendered, Release
from tests.integration.agent.conftest import image, running, stage, store, world
from tests.integration.agent.goods import Bundle, a_bundle
from tests.integration.agent.stage import Stage
from tests.integration.world import Process
from tests.security.hostile.lies import a_png
from tests.security.lair import a_lair, hostile_image

__all__ = ["image", "running", "stage", "store", "world"]


def _one_byte_of_the_scene(bundle: Bundle) -> bytes:
    """The archive itself is sound again."""
    tampered = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as old, zipfile.ZipFile(tampered, "w") as new:
        for name in old.namelist():
            content = bytearray(old.read(name))
            content[-1] ^= 1
            new.writestr(name, bytes(content))
    return tampered.getvalue()


def _something_behind_it(bundle: Bundle) -> bytes:
    return bundle.body + b"more"


def _another_bundle(_: Bundle) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scene.blend", b"another")
    return packed.getvalue()


TAMPERED = [_one_byte_of_the_scene, _something_behind_it, _another_bundle]


@pytest.mark.parametrize("tamper", TAMPERED)
async def test_a_bundle_that_was_changed_in_the_store_is_never_opened(
    stage: Stage, running: Process, scenes: Path, tmp_path: Path, tamper: Callable[[Bundle], bytes]
) -> None:
    honest = a_bundle(scenes / "marker_camera")
    body = stage.bundles[honest.sha256] = tamper(honest)
    assignment = await stage.assign(honest, 1, bundle_bytes=len(body))
    released = await stage.hear(ChunkReleased, assignment)
    assert released.reason is Release.NETWORK
    assert "hash" in released.text
    assert not stage.said(FramesRendered, assignment)
    assert not stage.containers()
    assert not list((stage.folder / "home" / "cache").glob(f"*{honest.sha256}*"))


@pytest.mark.parametrize("tamper", TAMPERED)
async def test_but_for_its_hash_the_changed_bundle_would_have_been_unpacked(
    scenes: Path, tmp_path: Path, tamper: Callable[[Bundle], bytes]
) -> None:
    honest, archive = a_bundle(scenes / "marker_camera"), tmp_path / "archive"
    archive.write_bytes(tamper(honest))
    files = await BundleCache(tmp_path / "cache", 1 << 30, 0).add(honest.sha256, archive)
    assert (files / "scene.blend").is_file()


async def test_a_frame_cannot_be_changed_after_it_was_handed_over(tmp_path: Path) -> None:
    async with a_lair(tmp_path / "agent", hostile_image()) as lair:
        raid = await lair.attack([("swapped_afterwards", {})])
        assert raid.pictures == [1]
        assert "frame it was not given" in raid.ending.text
        (held,) = raid.runner.attempt.frames
        kept = lair.folders.picture(raid.runner.attempt.id, 1).read_bytes()
    assert kept == a_png()
    assert hashlib.sha256(kept).hexdigest() == held.picture.file_sha256
