"""Pictures come from a hostile process: lies, bombs and half of one cost nothing but the frame."""

import asyncio
import hashlib
import os
import random
import signal
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from agent.hearing import CutShort
from agent.pictures import Decoder, SpoiltPicture, file_name, receive
from tests.scenes.pixels import CHANNELS, pixel_sha256
from tests.waiting import until


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept.png"


@pytest_asyncio.fixture
async def decoder() -> AsyncIterator[Decoder]:
    it = Decoder(64, 36, 8, 64 * 36)
    yield it
    await it.close()


def a_png(path: Path, mode: str = "RGB", size: tuple[int, int] = (64, 36)) -> Path:
    colours: dict[str, int | tuple[int, ...]] = {"L": 3, "RGB": (1, 2, 3), "RGBA": (1, 2, 3, 4)}
    Image.new(mode, size, colours[mode]).save(path)
    return path


def a_deep_png(path: Path, colour_type: int, channels: int, size: tuple[int, int] = (64, 36)) -> Path:
    """16 bits; as far as they go every sample is different."""
    (width, height), row = size, size[0] * channels
    rows = b"".join(b"\0" + struct.pack(f">{row}H", *((y * row + x) % 65_521 for x in range(row))) for y in range(height))
    path.write_bytes(_png(width, height, 16, colour_type, zlib.compress(rows, 1)))
    return path


def a_large_png(path: Path, mode: str, size: tuple[int, int]) -> Path:
    """Noise of 8 bits."""
    Image.frombytes(mode, size, random.Random(1).randbytes(size[0] * size[1] * CHANNELS[mode])).save(path, compress_level=1)
    return path


def _png(width: int, height: int, bits: int, colour_type: int, body: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


async def handed_over(*blocks: bytes, whole: bool = True) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block
    if not whole:
        raise CutShort


async def test_a_picture_is_kept_and_hashed_as_it_came(kept: Path) -> None:
    received = await receive(handed_over(b"one", b"two"), kept)
    assert await asyncio.to_thread(kept.read_bytes) == b"onetwo"
    assert (received.bytes, received.file_sha256) == (6, hashlib.sha256(b"onetwo").hexdigest())


async def test_of_a_picture_that_was_cut_short_nothing_is_kept(kept: Path) -> None:
    with pytest.raises(CutShort):
        await receive(handed_over(b"one", whole=False), kept)
    assert list(kept.parent.iterdir()) == []


def test_frames_are_named_as_the_driver_names_them() -> None:
    assert [file_name(frame) for frame in (1, -12, 1_048_574)] == ["000001.png", "-000012.png", "1048574.png"]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
async def test_the_pixel_hash_is_the_protocols(decoder: Decoder, tmp_path: Path, mode: str) -> None:
    path = a_png(tmp_path / "a.png", mode)
    assert await decoder.pixel_sha256(path) == pixel_sha256(path)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (6, 4)])
async def test_the_pixel_hash_of_16_bits_is_the_protocols(tmp_path: Path, colour_type: int, channels: int) -> None:
    path = a_deep_png(tmp_path / "deep.png", colour_type, channels)
    decoder = Decoder(64, 36, 16, 64 * 36)
    assert await decoder.pixel_sha256(path) == pixel_sha256(path)
    await decoder.close()


LARGE = (1_200, 1_801)
"""More than is hashed at a time, and no multiple of it."""


@pytest.mark.parametrize("mode", CHANNELS)
async def test_a_large_picture_has_the_hash_of_all_of_it(tmp_path: Path, mode: str) -> None:
    path, decoder = a_large_png(tmp_path / "large.png", mode, LARGE), Decoder(*LARGE, 8, LARGE[0] * LARGE[1])
    assert await decoder.pixel_sha256(path) == pixel_sha256(path)
    await decoder.close()


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (6, 4)])
async def test_a_large_picture_of_16_bits_does_too(tmp_path: Path, colour_type: int, channels: int) -> None:
    path = a_deep_png(tmp_path / "large.png", colour_type, channels, LARGE)
    decoder = Decoder(*LARGE, 16, LARGE[0] * LARGE[1])
    assert await decoder.pixel_sha256(path) == pixel_sha256(path)
    await decoder.close()


def _cut_off(path: Path) -> None:
    path.write_bytes(a_png(path).read_bytes()[:-40])


def _cut_with_an_end(path: Path) -> None:
    whole = a_png(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + whole[-12:])


def _another_size(path: Path) -> None:
    a_png(path, size=(64, 35))


def _a_jpeg(path: Path) -> None:
    Image.new("RGB", (64, 36)).save(path, "JPEG")


def _a_palette(path: Path) -> None:
    Image.new("P", (64, 36)).save(path)


def _deeper_than_asked(path: Path) -> None:
    a_deep_png(path, 2, 3)


def _an_animation(path: Path) -> None:
    Image.new("RGB", (64, 36)).save(path, save_all=True, append_images=[Image.new("RGB", (64, 36), (9, 9, 9))])


def _a_bomb(path: Path) -> None:
    path.write_bytes(_png(60_000, 60_000, 8, 2, zlib.compress(bytes(1_000_000))))


def _a_text_bomb(path: Path) -> None:
    text = _chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(100_000_000)))
    whole = a_png(path).read_bytes()
    path.write_bytes(whole[:33] + text + whole[33:])


HOSTILE = [
    _cut_off,
    _cut_with_an_end,
    _another_size,
    _a_jpeg,
    _a_palette,
    _deeper_than_asked,
    _an_animation,
    _a_bomb,
    _a_text_bomb,
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_is_not_the_picture_asked_for_is_refused(
    decoder: Decoder, tmp_path: Path, hostile: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.png"
    hostile(path)
    with pytest.raises(SpoiltPicture):
        await decoder.pixel_sha256(path)


async def test_a_picture_after_a_bad_one_is_decoded(decoder: Decoder, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.png", a_png(tmp_path / "good.png")
    _a_bomb(bad)
    with pytest.raises(SpoiltPicture):
        await decoder.pixel_sha256(bad)
    assert await decoder.pixel_sha256(good) == pixel_sha256(good)


async def test_the_decoder_cannot_use_more_memory_than_it_was_given(tmp_path: Path) -> None:
    """The right size by its head, but larger than the memory of a decoder for small pictures."""
    path = tmp_path / "large.png"
    path.write_bytes(_png(8_000, 5_000, 8, 2, zlib.compress(bytes(5_000 * (1 + 3 * 8_000)), 1)))
    small = Decoder(8_000, 5_000, 8, most_pixels=1, base_megabytes=96)
    with pytest.raises(SpoiltPicture, match="memory"):
        await small.pixel_sha256(path)
    await small.close()
    enough = Decoder(8_000, 5_000, 8, most_pixels=8_000 * 5_000, base_megabytes=96)
    assert len(await asyncio.wait_for(enough.pixel_sha256(path), 60)) == 64
    await enough.close()


async def test_of_one_picture_no_second_copy_is_made_whatever_its_depth(tmp_path: Path) -> None:
    """8 bytes of each pixel at 16 bits, 4 at 8: the lender's machine has no more to spare than it must."""
    size, path = (4_000, 4_000), tmp_path / "large.png"
    for bits, colour_type, mebibytes in ((16, 6, 123), (8, 6, 62)):
        path.write_bytes(_png(*size, bits, colour_type, zlib.compress(bytes(4_000 * (1 + 4 * 4_000 * bits // 8)), 1)))
        decoder = Decoder(*size, bits, size[0] * size[1])
        assert len(await decoder.pixel_sha256(path)) == 64
        assert _peak_mebibytes(_child(decoder)) < mebibytes + 90, "what Python and Pillow take comes to it"
        await decoder.close()


async def test_where_memory_runs_out_the_decoder_is_killed_first_and_the_next_picture_has_another(
    decoder: Decoder, tmp_path: Path
) -> None:
    path = a_png(tmp_path / "a.png")
    assert await decoder.pixel_sha256(path) == pixel_sha256(path)
    first = _child(decoder)
    assert _told(first, "oom_score_adj") == "1000\n", "no process comes before it"
    os.kill(first, signal.SIGSTOP)  # it is at the picture for as long as we like
    decoding = asyncio.create_task(decoder.pixel_sha256(path))
    await until(decoder._turn.locked, "it was asked")
    os.kill(first, signal.SIGKILL)
    with pytest.raises(SpoiltPicture, match="memory"):
        await decoding
    assert await decoder.pixel_sha256(path) == pixel_sha256(path)
    assert _child(decoder) != first


def _child(decoder: Decoder) -> int:
    assert decoder._process is not None
    return decoder._process.pid


def _told(process: int, what: str) -> str:
    return Path(f"/proc/{process}/{what}").read_text(encoding="ascii")


def _peak_mebibytes(process: int) -> int:
    (line,) = (it for it in _told(process, "status").splitlines() if it.startswith("VmHWM:"))
    return int(line.split()[1]) >> 10
