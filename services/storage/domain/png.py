"""What a PNG says about itself, read from its chunks before anything decodes it.

Only what Blender writes is let through: grey, RGB or RGBA, 8 or 16 bits, not interlaced, one picture, nothing after its end. The
exact number of sample bytes follows, so that a picture with rows missing is found out (common decoders fill them with black).
"""

import struct
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 6: 4}
"""PNG colour type → samples per pixel."""
ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
MAX_CHUNKS = 100_000


CODES = frozenset(
    {"missing", "wrong_size", "wrong_hash", "not_png", "broken", "animated", "wrong_mode", "wrong_dimensions", "wrong_bits"}
)
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
    if ANIMATION & set(kinds):
        raise NotThePicture("animated", "The PNG holds more than one picture.")
    width, height, bits, colour, *rest = struct.unpack_from(">IIBBBBB", data, chunks[0][1])
    if colour not in CHANNELS or bits not in (8, 16) or rest != [0, 0, 0]:
        raise NotThePicture("wrong_mode", "The PNG is not grey, RGB or RGBA with 8 or 16 bits, or is interlaced.")
    return Header(width, height, bits, CHANNELS[colour], tuple((at, n) for kind, at, n in chunks if kind == b"IDAT"))


def _chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """(kind, offset of its content, length of its content); the last is IEND and ends the file."""
    found: list[tuple[bytes, int, int]] = []
    at = 8
    while len(found) < MAX_CHUNKS:
        if at + 12 > len(data):
            raise NotThePicture("broken", "The PNG is cut off.")
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise NotThePicture("broken", "The PNG is cut off.")
        found.append((kind, at + 8, length))
        at += 12 + length
        if kind == b"IEND":
            break
    if at != len(data) or found[-1][0] != b"IEND":
        raise NotThePicture("broken", "The PNG does not end where its file ends.")
    return found


def check(found: Header, width: int, height: int, bits: int) -> None:
    """Against what was asked for. Raises NotThePicture."""
    if (found.width, found.height) != (width, height):
        text = f"The picture is {found.width}x{found.height}, asked for was {width}x{height}."
        raise NotThePicture("wrong_dimensions", text)
    if found.bits != bits:
        raise NotThePicture("wrong_bits", f"The picture has {found.bits} bits per channel, asked for were {bits}.")
