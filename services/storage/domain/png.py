"""What a PNG says about itself, read from its chunks before anything decodes it.

Only what Blender writes is let through: grey, RGB or RGBA, 8 or 16 bits, not interlaced, one picture, nothing after its end, and
beside the samples only chunks that it writes: no program shall refuse what was paid for, or show it otherwise than it was hashed.
The exact number of sample bytes follows, so that a picture with rows missing is found out (common decoders fill them with black).
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 6: 4}
"""PNG colour type → samples per pixel."""
ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
NEEDED = frozenset({b"IHDR", b"IDAT", b"IEND"})
MAX_CHUNKS = 100_000
TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
"""Blender writes what the renderer tells of itself; with Cryptomatte the names of all objects, 53 bytes each and pass."""
OTHERWISE = (b"XML:com.adobe.xmp", b"Raw profile type")
"""Keywords of text that programs read as EXIF."""
ONCE = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"sBIT", b"bKGD", b"eXIf", b"oFFs", b"pHYs", b"tIME"})
"""Blender 5.0 writes eXIf, oFFs and pHYs always (the resolution), cICP and iCCP for displays other than sRGB."""
ORDINARY = {
    b"gAMA": frozenset({struct.pack(">I", 45_455)}),
    b"cHRM": frozenset({struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)}),
    b"sRGB": frozenset({b"\0", b"\1", b"\2", b"\3"}),
}
"""Chunks that change the colours shown unless they say the same as none: sRGB."""
BESIDE_BYTES = 8 << 20
"""All chunks beside the samples together."""
ORIENTATION, UPRIGHT = 0x0112, 1

CODES = frozenset(
    {
        "missing", "wrong_size", "wrong_hash", "not_png", "broken", "animated", "foreign_chunk", "wrong_mode", "wrong_dimensions",
        "wrong_bits",
    }
)  # fmt: skip
"""Every reason for which a delivered frame is rejected."""


class NotThePicture(Exception):
    """These bytes are not the picture that was asked for; `code` for programs, `text` for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True)
class Header:
    """`data` holds (offset, length) of the compressed samples' pieces."""

    width: int
    height: int
    bits: int
    channels: int
    data: tuple[tuple[int, int], ...] = ()

    @property
    def sample_bytes(self) -> int:
        """Of all rows uncompressed, with the filter byte that begins each."""
        return self.height * (1 + self.width * self.channels * self.bits // 8)


def header(data: bytes) -> Header:
    """Raises NotThePicture for anything but one whole plain PNG."""
    if data[:8] != SIGNATURE:
        raise NotThePicture("not_png", "The file is not a PNG.")
    chunks = _chunks(data)
    kinds = [kind for kind, _, _ in chunks]
    if kinds[0] != b"IHDR" or chunks[0][2] != 13 or kinds.count(b"IHDR") != 1 or b"IDAT" not in kinds:
        raise NotThePicture("broken", "The PNG's header is damaged.")
    first, pieces = kinds.index(b"IDAT"), kinds.count(b"IDAT")
    if kinds[first : first + pieces] != [b"IDAT"] * pieces or chunks[-1][2]:
        raise NotThePicture("broken", "The PNG's chunks are out of order.")
    if ANIMATION & set(kinds):
        raise NotThePicture("animated", "The PNG holds more than one picture.")
    width, height, bits, colour, *rest = struct.unpack_from(">IIBBBBB", data, chunks[0][1])
    if colour not in CHANNELS or bits not in (8, 16) or rest != [0, 0, 0]:
        raise NotThePicture("wrong_mode", "The PNG is not grey, RGB or RGBA with 8 or 16 bits, or is interlaced.")
    _check_beside(data, [chunk for chunk in chunks if chunk[0] not in NEEDED])
    return Header(width, height, bits, CHANNELS[colour], tuple((at, n) for kind, at, n in chunks if kind == b"IDAT"))


def _chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """(kind, offset of its content, length of its content), each with its right checksum; the last is IEND and ends the file."""
    found: list[tuple[bytes, int, int]] = []
    at, view = 8, memoryview(data)
    while len(found) < MAX_CHUNKS:
        if at + 12 > len(data):
            raise NotThePicture("broken", "The PNG is cut off.")
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise NotThePicture("broken", "The PNG is cut off.")
        if zlib.crc32(view[at + 4 : at + 8 + length]) != struct.unpack_from(">I", data, at + 8 + length)[0]:
            raise NotThePicture("broken", "A checksum in the PNG is wrong.")
        found.append((kind, at + 8, length))
        at += 12 + length
        if kind == b"IEND":
            break
    if at != len(data) or found[-1][0] != b"IEND":
        raise NotThePicture("broken", "The PNG does not end where its file ends.")
    return found


def _check_beside(data: bytes, chunks: Sequence[tuple[bytes, int, int]]) -> None:
    """Of chunks beside header, samples and end. Raises NotThePicture."""
    if sum(12 + length for _, _, length in chunks) > BESIDE_BYTES:
        raise NotThePicture("foreign_chunk", f"The PNG holds more than {BESIDE_BYTES >> 20} MiB beside its samples.")
    met = set[bytes]()
    for kind, at, length in chunks:
        if (kind not in TEXT and kind not in ONCE) or kind in met or not _is_ordinary(kind, data[at : at + length]):
            name = kind.decode("ascii", "replace")
            raise NotThePicture("foreign_chunk", f"The PNG holds a chunk {name!r} that Blender does not write, or not so.")
        met |= {kind} & ONCE


def _is_ordinary(kind: bytes, content: bytes) -> bool:
    """Whether the picture is shown as its samples say. Whether a colour profile fits, only the scene knows."""
    if kind in TEXT:
        return not content.startswith(OTHERWISE)
    if kind == b"eXIf":
        return _is_upright(content)
    if kind == b"cICP":
        return len(content) == 4 and content[2:] == b"\0\1"  # RGB of full range: what the samples are
    return kind not in ORDINARY or content in ORDINARY[kind]


def _is_upright(exif: bytes) -> bool:
    """False where viewers are told to turn or mirror the picture, or where they may read what we cannot."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return False
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        entries = [struct.unpack_from(order + "HHIH", exif, at + 2 + 12 * place) for place in range(count)]
    except struct.error:
        return False
    return all(value == UPRIGHT for tag, _, _, value in entries if tag == ORIENTATION)


def check(found: Header, width: int, height: int, bits: int) -> None:
    """Against what was asked for. Raises NotThePicture."""
    if (found.width, found.height) != (width, height):
        text = f"The picture is {found.width}x{found.height}, asked for was {width}x{height}."
        raise NotThePicture("wrong_dimensions", text)
    if found.bits != bits:
        raise NotThePicture("wrong_bits", f"The picture has {found.bits} bits per channel, asked for were {bits}.")
