"""Looks at one delivered picture: is it whole, what does it show, what does it look like small.

The header is compared with what was asked for before any pixel is decoded. The pixel hash is over decoded samples, so it does not
change with compression or text chunks (defined in infra/images/render/PROTOCOL.md).
"""

import hashlib
import io
import zlib
from dataclasses import dataclass

from PIL import Image, ImageFile

from services.storage.domain import png
from services.storage.domain.png import Header, NotThePicture

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 240, 480
MODES = {(1, 8): "L", (3, 8): "RGB", (4, 8): "RGBA", (3, 16): "RGB", (4, 16): "RGBA"}


@dataclass(frozen=True)
class Seen:
    pixel_sha256: str
    thumbnail: bytes
    """WebP, at most 240 pixels wide."""


def look(data: bytes, width: int, height: int, bits: int) -> Seen:
    """Raises NotThePicture."""
    header = png.header(data)
    png.check(header, width, height, bits)
    _check_rows(data, header)
    Image.MAX_IMAGE_PIXELS = width * height
    try:
        return Seen(_pixels(data, header), _thumbnail(data))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as problem:
        raise NotThePicture("broken", f"The picture cannot be decoded: {str(problem)[:200]}") from None
    except MemoryError:
        raise NotThePicture("broken", "The picture cannot be decoded within the memory allowed.") from None


def _check_rows(data: bytes, header: Header) -> None:
    """Every row is there, and nothing more: a decoder would fill missing rows with black."""
    stream = zlib.decompressobj()
    packed = b"".join(data[at : at + length] for at, length in header.data)
    found = 0
    try:
        while not stream.eof and found <= header.sample_bytes:
            piece = stream.decompress(packed, 1 << 20)
            found, packed = found + len(piece), stream.unconsumed_tail
            if not piece and not packed and not stream.eof:
                break
    except zlib.error:
        raise NotThePicture("broken", "The picture's data is damaged.") from None
    if found != header.sample_bytes or not stream.eof:
        raise NotThePicture("broken", "The picture does not have the rows that its header tells.")


def _pixels(data: bytes, header: Header) -> str:
    head = f"framelend-pixels-v1 {header.width} {header.height} {header.channels} {header.bits}\n"
    samples = _samples16(data, header) if header.bits == 16 else _samples(data)
    if len(samples) != header.width * header.height * header.channels * header.bits // 8:
        raise NotThePicture("wrong_mode", "The picture's channels are not what its header says.")
    return hashlib.sha256(head.encode() + samples).hexdigest()


def _samples(data: bytes, raw: str | None = None) -> bytes:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if raw is not None and isinstance(image, ImageFile.ImageFile):
            image.tile = [image.tile[0]._replace(args=raw)]
        if "transparency" in image.info:
            raise NotThePicture("wrong_mode", "The picture uses a transparent colour instead of an alpha channel.")
        return image.tobytes()


def _samples16(data: bytes, header: Header) -> bytes:
    """Little-endian. Pillow keeps 8 bits of a colour sample: reading the file in the other byte order gives the other 8."""
    if header.channels == 1:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return image.convert("I;16").tobytes()
    mode = MODES[header.channels, 16]
    low, high = _samples(data, f"{mode};16L"), _samples(data, f"{mode};16B")
    samples = bytearray(2 * len(low))
    samples[0::2], samples[1::2] = low, high
    return bytes(samples)


def _thumbnail(data: bytes) -> bytes:
    return smaller(data, THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT, "WEBP", quality=80, method=3)


def smaller(data: bytes, width: int, height: int, form: str, **how: int) -> bytes:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        shown = image.point(lambda value: value / 256, "L") if image.mode.startswith("I") else image
        shown.thumbnail((width, height), reducing_gap=2.0)
        out = io.BytesIO()
        shown.save(out, form, **how)
        return out.getvalue()
