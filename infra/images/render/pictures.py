"""Reads a written picture back completely and hashes its samples.

Blender reports success when the disk was full, so a frame counts only after this. The hash is over decoded samples
because PNG files carry timings: two files of one picture never have equal bytes.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio  # comes with bpy

PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
BITS = {"uint8": 8, "uint16": 16, "half": 16, "float": 32}


class BadPicture(Exception):
    """The file cannot be decoded to its last row."""


@dataclass(frozen=True)
class Picture:
    """A decoded file: its shape, and the hashes of its samples and of its bytes."""

    width: int
    height: int
    channels: int
    bits: int
    pixel_sha256: str
    file_sha256: str
    bytes: int


def read_picture(path: str) -> Picture:
    """Raises `BadPicture` when the file is cut off or damaged."""
    content = Path(path).read_bytes()
    if path.endswith(".png") and not content.endswith(PNG_END):
        raise BadPicture(f"cut off after {len(content)} bytes")
    spec, samples = _decode(path)
    return Picture(
        width=spec.width,
        height=spec.height,
        channels=spec.nchannels,
        bits=BITS[str(spec.format)],
        pixel_sha256=_pixel_hash(spec, samples),
        file_sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )


def _decode(path: str) -> tuple[Any, numpy.ndarray[Any, Any]]:
    raw = oiio.ImageSpec()
    raw["oiio:UnassociatedAlpha"] = 1  # else OpenImageIO multiplies colour by alpha
    source = oiio.ImageInput.open(path, raw)
    if source is None:
        raise BadPicture(f"not a picture: {oiio.geterror()[:200]}")
    try:
        spec = source.spec()
        samples = source.read_image(spec.format)
        if samples is None or source.has_error or str(spec.format) not in BITS:
            raise BadPicture(f"does not decode: {source.geterror()[:200]}")
        return spec, samples
    finally:
        source.close()


def _pixel_hash(spec: Any, samples: numpy.ndarray[Any, Any]) -> str:
    bits = BITS[str(spec.format)]
    if samples.dtype.kind == "f":
        head = f"framelend-exr-v1 {spec.width} {spec.height} {','.join(spec.channelnames)} {bits}\n"
    else:
        head = f"framelend-pixels-v1 {spec.width} {spec.height} {spec.nchannels} {bits}\n"
    digest = hashlib.sha256(head.encode())
    little = samples if sys.byteorder == "little" else samples.byteswap()
    digest.update(numpy.ascontiguousarray(little).tobytes())
    return digest.hexdigest()
