"""Looks at one delivered picture: is it whole, what does it show, what does it look like small.

The header is compared with what was asked for before any pixel is decoded. The pixel hash is over decoded samples, so it does not
change with compression or text chunks (defined in infra/images/render/PROTOCOL.md).
"""

import hashlib
import io
import zlib
from dataclasses import dataclass
from itertools import chain

from PIL import Image, ImageFile

from services.storage.confined.inflating import bites, inflated, zlib_stream
from services.storage.domain import png
from services.storage.domain.png import Header, NotThePicture

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 240, 480
COLOURS = {3: "RGB", 4: "RGBA"}


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
        with _opened(data) as image:
            image.load()
            return Seen(_pixels(image, data, header), _thumbnail(image))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as problem:
        raise NotThePicture("broken", f"The picture cannot be decoded: {str(problem)[:200]}") from None
    except MemoryError:
        raise NotThePicture("broken", "The picture cannot be decoded within the memory allowed.") from None


def _check_rows(data: bytes, header: Header) -> None:
    """Every row is there, and nothing more: decoders fill missing rows with black and pass over what follows the last."""
    stream = zlib_stream()
    packed = chain.from_iterable(bites(data, at, length) for at, length in header.data)
    found = 0
    try:
        for piece in inflated(stream, packed):
            found += len(piece)
            if found > header.sample_bytes:
                break
    except zlib.error:
        raise NotThePicture("broken", "The picture's data is damaged.") from None
    if found != header.sample_bytes or not stream.eof or stream.unused_data or next(packed, b""):
        raise NotThePicture("broken", "The picture does not have the rows that its header tells.")


def _opened(data: bytes, raw: str | None = None) -> ImageFile.ImageFile:
    """`raw` tells the decoder how to understand samples."""
    image = Image.open(io.BytesIO(data), formats=("PNG",))
    assert isinstance(image, ImageFile.ImageFile)
    if raw is not None:
        image.tile = [image.tile[0]._replace(args=raw)]
    return image


def _pixels(image: Image.Image, data: bytes, header: Header) -> str:
    samples = _samples16(data, header) if header.bits == 16 else image.tobytes()
    if len(samples) != header.width * header.height * header.channels * header.bits // 8:
        raise NotThePicture("wrong_mode", "The picture's channels are not what its header says.")
    head = f"framelend-pixels-v1 {header.width} {header.height} {header.channels} {header.bits}\n"
    digest = hashlib.sha256(head.encode())
    digest.update(samples)
    return digest.hexdigest()


def _samples16(data: bytes, header: Header) -> bytes | bytearray:
    """Little-endian. Pillow keeps 8 bits of a colour sample: reading the file in the other byte order gives the other 8."""
    if header.channels == 1:
        with _opened(data) as image:
            return image.convert("I;16").tobytes()
    samples = bytearray(header.width * header.height * header.channels * 2)
    for at, order in enumerate("LB"):
        with _opened(data, f"{COLOURS[header.channels]};16{order}") as image:
            samples[at::2] = image.tobytes()
    return samples


def _thumbnail(image: Image.Image) -> bytes:
    out = io.BytesIO()
    smaller(image, THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT).save(out, "WEBP", quality=80, method=3)
    return out.getvalue()


def smaller(image: Image.Image, width: int, height: int) -> Image.Image:
    """At most this large, 8 bits, the same proportions."""
    shown = image.point(lambda value: value / 256, "L") if image.mode.startswith("I") else image.copy()
    shown.thumbnail((width, height), reducing_gap=2.0)
    return shown
