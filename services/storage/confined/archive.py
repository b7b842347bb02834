"""Unpacks an archive without keeping anything, to see whether it may be unpacked elsewhere.

Reads the table of contents with the standard library, and every entry's bytes itself: what is declared is compared with what
comes out, piece by piece, so that a lying header is caught at the first byte too many.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from services.storage.confined.inflating import IN_BYTES, deflate_stream, inflated
from services.storage.domain.archive import (
    BLEND_MAGICS,
    STORED,
    Entry,
    Limits,
    Unsafe,
    check,
    check_size,
    is_blend,
)

BLENDS_LISTED = 100
LOCAL_HEAD = struct.Struct("<4s5HIII2H")
TABLE_BYTES_PER_ENTRY = 46 + 2_048
"""A generous line of the table of contents; a longer table is not read."""


@dataclass(frozen=True)
class Contents:
    files: int
    unpacked_bytes: int
    blends: tuple[str, ...]


def examine(file: BinaryIO, size: int, limits: Limits) -> Contents:
    """Raises Unsafe, saying what is wrong in words for the renter."""
    try:
        return _examine(file, size, limits)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, NotImplementedError) as problem:
        text = f"The bundle is not a whole ZIP archive ({str(problem)[:100]}). Pack it again and send it again."
        raise Unsafe("not_an_archive", text) from None
    except (ValueError, OSError, MemoryError):
        raise Unsafe("not_an_archive", "The bundle's table of contents cannot be read. Pack it again.") from None


def _examine(file: BinaryIO, size: int, limits: Limits) -> Contents:
    _check_table(file, limits)
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        entries = [_entry(info) for info in infos]
        check(entries, size, limits)
        _check_apart(file, infos, archive.start_dir)
    total, blends = 0, []
    for info, entry in zip(infos, entries, strict=True):
        found, head = _unpack(file, info, entry)
        total += found
        check_size(total, size, limits)
        if is_blend(entry.name) and head.startswith(BLEND_MAGICS):
            blends.append(entry.name)
    if not blends:
        raise Unsafe("no_blend", "The bundle holds no .blend file that Blender could open. Pack the scene's .blend file.")
    return Contents(sum(not entry.is_folder for entry in entries), total, tuple(blends[:BLENDS_LISTED]))


def _check_table(file: BinaryIO, limits: Limits) -> None:
    """Before the standard library reads the whole table into memory."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # what ZipFile itself reads first; it has no public name
    if end is None:
        raise zipfile.BadZipFile("no table of contents at its end")
    if end[zipfile._ECD_ENTRIES_TOTAL] > limits.max_entries:  # type: ignore[attr-defined]
        raise Unsafe("too_many_files", f"The bundle has more than {limits.max_entries} files. Pack only what the scene uses.")
    if end[zipfile._ECD_SIZE] > limits.max_entries * TABLE_BYTES_PER_ENTRY:  # type: ignore[attr-defined]
        raise Unsafe("not_an_archive", "The bundle's table of contents is too large. Pack it again.")


def _entry(info: zipfile.ZipInfo) -> Entry:
    return Entry(
        name=info.orig_filename,
        method=info.compress_type,
        flags=info.flag_bits,
        attributes=info.external_attr,
        packed_bytes=info.compress_size,
        bytes=info.file_size,
        extras=_extras(info.extra),
    )


def _extras(raw: bytes) -> tuple[int, ...]:
    found, at = [], 0
    while at + 4 <= len(raw):
        kind, length = struct.unpack_from("<HH", raw, at)
        found.append(kind)
        at += 4 + length
    return tuple(found)


def _check_apart(file: BinaryIO, infos: list[zipfile.ZipInfo], table_at: int) -> None:
    """No two entries share bytes, and none reaches into the table."""
    begin = sorted((info.header_offset, _data_at(file, info) + info.compress_size) for info in infos)
    ends = [start for start, _ in begin[1:]] + [table_at]
    if any(end > following for (_, end), following in zip(begin, ends, strict=True)):
        raise Unsafe("overlap", "Entries of the bundle share bytes, as archive bombs do. Pack it with an ordinary ZIP program.")


def _data_at(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the entry's bytes begin. Raises Unsafe when its own header names it otherwise than the table does."""
    file.seek(info.header_offset)
    head = LOCAL_HEAD.unpack(file.read(LOCAL_HEAD.size))
    signature, flags, name_length, extra_length = head[0], head[2], head[9], head[10]
    name = file.read(name_length).decode("utf-8" if flags & 0x800 else "cp437", errors="replace")
    if signature != b"PK\x03\x04" or name != info.orig_filename:
        raise Unsafe("two_names", "An entry of the bundle has two names. Pack it with an ordinary ZIP program.")
    return int(info.header_offset + LOCAL_HEAD.size + name_length + extra_length)


def _unpack(file: BinaryIO, info: zipfile.ZipInfo, entry: Entry) -> tuple[int, bytes]:
    """(bytes that came out, the first few of them)."""
    file.seek(_data_at(file, info))
    found, crc, head = 0, 0, b""
    for out in _plain(file, entry):
        found, crc, head = found + len(out), zlib.crc32(out, crc), head or out[:16]
        if found > entry.bytes:
            break
    if found != entry.bytes or crc != info.CRC:
        raise _lie(entry)
    return found, head


def _plain(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """The entry's bytes as they come out, piece by piece."""
    packed = _packed(file, entry.packed_bytes)
    if entry.method == STORED:
        yield from packed
        return
    stream = deflate_stream()
    yield from inflated(stream, packed)
    if not stream.eof or stream.unused_data or next(packed, b""):
        raise _lie(entry)


def _packed(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left:
        bite = file.read(min(IN_BYTES, left))
        if not bite:
            raise EOFError("cut off")
        left -= len(bite)
        yield bite


def _lie(entry: Entry) -> Unsafe:
    return Unsafe("lying_size", f"{entry.name[:80]!a} is not what the bundle's table of contents says. Pack it again.")
