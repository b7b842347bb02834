"""Archives, grants and records for storage's unit tests."""

import io
import struct
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from contracts.events import JobSubmitted, UploadRequested
from contracts.grants import Grant, sign
from contracts.values import FrameRange, Kind, Picture
from services.storage.domain.frame import FrameRecord
from tests.unit import clock

NOW = clock.NOW
KEYS = {"1": b"k" * 32}
BLEND = b"BLENDER17-01v0500REND"


def a_zip(files: Mapping[str, bytes] | None = None, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in (files or {"scene.blend": BLEND}).items():
            archive.writestr(name, content)
    return out.getvalue()


def a_zip_of(*infos: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("scene.blend", BLEND)
        for info, content in infos:
            archive.writestr(info, content)
    return out.getvalue()


def with_declared_size(data: bytes, name: str, size: int, crc: int) -> bytes:
    """The same archive, whose headers lie about one entry's unpacked size, with a checksum that fits the lie."""
    changed = bytearray(data)
    at = data.rindex(b"PK\x03\x04", 0, data.index(name.encode()))
    struct.pack_into("<I", changed, at + 14, crc)
    struct.pack_into("<I", changed, at + 22, size)
    table = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    struct.pack_into("<I", changed, table + 16, crc)
    struct.pack_into("<I", changed, table + 24, size)
    return bytes(changed)


def a_grant(**other: Any) -> Grant:
    told: dict[str, Any] = {
        "agent": "agent-a",
        "job": "job-1",
        "chunk": "chunk-1",
        "attempt": "attempt-1",
        "kind": Kind.RENDER,
        "frames": (FrameRange(first=1, last=10),),
        "bundle": "b" * 64,
        "picture": Picture(width=64, height=36),
        "max_bytes": 1_000_000,
        "until": NOW + timedelta(hours=1),
    }
    return sign(Grant(**{**told, **other}), KEYS)


def a_record(frame: int = 1, **other: Any) -> FrameRecord:
    told: dict[str, Any] = {
        "job": "job-1",
        "frame": frame,
        "attempt": "attempt-1",
        "chunk": "chunk-1",
        "agent": "agent-a",
        "kind": Kind.RENDER,
        "generation": 0,
        "version": 1,
        "file_sha256": "f" * 64,
        "pixel_sha256": "e" * 64,
        "bytes": 1_000,
        "thumbnail_sha256": "d" * 64,
        "thumbnail_bytes": 100,
        "cpu_micros": 1_000_000,
        "seconds": 1.0,
        "arrived_at": NOW,
    }
    return FrameRecord(**{**told, **other})


def an_upload_request(size: int = 100, account: str = "renter") -> UploadRequested:
    return UploadRequested(upload="upload-1", account=account, bytes=size, sha256="a" * 64)


def a_submission(**other: Any) -> JobSubmitted:
    told: dict[str, Any] = {
        "job": "job-1",
        "account": "renter",
        "name": "A wave",
        "bundle": "b" * 64,
        "bundle_bytes": 1,
        "blend": "scene.blend",
        "price_per_wu_micro": 1_000,
    }
    return JobSubmitted(**{**told, **other})
