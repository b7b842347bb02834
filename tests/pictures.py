"""Pictures for tests, made without Blender, and their hashes as infra/images/render/PROTOCOL.md defines them."""

import hashlib
import io
import struct
import zlib

from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def a_png(width: int = 64, height: int = 36, shade: int = 90, mode: str = "RGB") -> bytes:
    """A gradient, so that no two shades give the same pixels."""
    image = Image.new("RGB", (width, height))
    image.putdata([((x * 3 + shade) % 256, (y * 5 + shade) % 256, shade % 256) for y in range(height) for x in range(width)])
    out = io.BytesIO()
    image.convert(mode).save(out, "PNG")
    return out.getvalue()


def pixel_sha256(png: bytes) -> str:
    """Of an 8-bit PNG."""
    with Image.open(io.BytesIO(png)) as image:
        head = f"framelend-pixels-v1 {image.width} {image.height} {len(image.getbands())} 8\n"
        return hashlib.sha256(head.encode() + image.tobytes()).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def a_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def a_handmade_png(
    width: int = 64,
    height: int = 36,
    *,
    rows: int | None = None,
    bits: int = 8,
    colour: int = 2,
    channels: int = 3,
    interlaced: int = 0,
    extra: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """Byte by byte, to lie where a library would not."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    row = b"\0" + b"\x40" * (width * channels * bits // 8)
    data = zlib.compress(row * (height if rows is None else rows))
    return SIGNATURE + a_chunk(b"IHDR", head) + extra + a_chunk(b"IDAT", data) + a_chunk(b"IEND", b"") + tail
