"""The pixel hash of PROTOCOL.md outside Blender, with Pillow alone.

Pillow keeps 8 bits of a 16-bit colour PNG. Its decoder can be told which 8: the file is read twice, once for the high
byte of each sample (`;16B`) and once for the low one (`;16L` takes the "high" byte of the other byte order).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image, ImageFile

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


def pixel_sha256(path: Path) -> str:
    """Hash of a PNG as Blender writes them: grey, RGB or RGBA, 8 or 16 bits."""
    with Image.open(path) as image:
        width, height = image.size
        if image.mode.startswith("I;16"):
            return _hash(width, height, 1, 16, _grey16(path))
        deep = isinstance(image, ImageFile.ImageFile) and str(image.tile[0].args).endswith(";16B")
        mode, samples = image.mode, b"" if deep else image.tobytes()
    return _hash(width, height, CHANNELS[mode], 16 if deep else 8, _colour16(path, mode) if deep else samples)


def _hash(width: int, height: int, channels: int, bits: int, samples: bytes) -> str:
    head = f"framelend-pixels-v1 {width} {height} {channels} {bits}\n"
    return hashlib.sha256(head.encode() + samples).hexdigest()


def _grey16(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.convert("I;16").tobytes()


def _colour16(path: Path, mode: str) -> bytes:
    low, high = _bytes(path, f"{mode};16L"), _bytes(path, f"{mode};16B")
    samples = bytearray(2 * len(low))
    samples[0::2], samples[1::2] = low, high
    return bytes(samples)


def _bytes(path: Path, raw: str) -> bytes:
    with Image.open(path) as image:
        if isinstance(image, ImageFile.ImageFile):
            image.tile = [image.tile[0]._replace(args=raw)]
        return image.tobytes()
