"""Unpacks a bundle nobody here trusts: plain files and folders below one fresh folder, within limits that are counted, not read.

Storage has checked the archive before; the lender's machine checks again, because the lender trusts nobody either.
"""

import errno
import re
import stat
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ENTRIES = 100_000
DIRECTORY_BYTES = 24 << 20
"""Of the archive's list of entries, which is read into memory before it can be counted."""
DEPTH = 32
NAME_BYTES = 255
RATIO = 200
"""Deflate's own best is 1032 to 1; over a whole archive of more than SMALL only bombs come near this."""
SMALL = 16 << 20
BLOCK = 1 << 20
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class UnsafeBundle(Exception):
    """The archive is not one we unpack; the text says why, for the renter."""


class _TooLarge(UnsafeBundle):
    """More came out than may."""


@dataclass(frozen=True)
class Limits:
    """Of everything together, in bytes."""

    unpacked_bytes: int


def unpack(archive: Path, into: Path, limits: Limits) -> int:
    """Fills the new folder `into`; returns the bytes written. Raises UnsafeBundle, and OSError when this machine has no room.

    What was written before an exception is the caller's to remove.
    """
    into.mkdir(mode=0o755)
    try:
        if _directory_bytes(archive) > DIRECTORY_BYTES:
            raise UnsafeBundle(f"more than {ENTRIES} files")
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check(entries)
            return _write_all(opened, entries, into, min(limits.unpacked_bytes, _most(archive.stat().st_size)))
    except _TooLarge:
        if limits.unpacked_bytes < _most(archive.stat().st_size):  # no bomb: it is this machine that lacks the room
            raise OSError(errno.ENOSPC, f"no room for more than {limits.unpacked_bytes >> 20} MiB of it") from None
        raise
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError, ValueError) as bad:
        raise UnsafeBundle(f"the archive cannot be read: {type(bad).__name__}") from None
    except Exception as bad:
        if type(bad).__module__ == "zlib":
            raise UnsafeBundle("the archive is damaged") from None
        raise


def _directory_bytes(archive: Path) -> int:
    """By the archive's end record, found as the standard library finds it."""
    with archive.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    return int(end[5]) if end else 0


def _most(archive_bytes: int) -> int:
    return max(SMALL, archive_bytes * RATIO)


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > ENTRIES:
        raise UnsafeBundle(f"more than {ENTRIES} files")
    seen: dict[str, bool] = {}
    folders: set[str] = set()
    for entry in entries:
        path = _path(entry)
        key = unicodedata.normalize("NFC", str(path)).casefold()
        if key in seen:
            raise UnsafeBundle(f"two entries are named {path}")
        seen[key] = entry.is_dir()
        parents = [unicodedata.normalize("NFC", str(parent)).casefold() for parent in path.parents]
        if any(seen.get(parent) is False for parent in parents):
            raise UnsafeBundle(f"{path} lies in a file")
        folders.update(parents)
        if len(seen) + len(folders) > 2 * ENTRIES:
            raise UnsafeBundle(f"more than {2 * ENTRIES} files and folders")


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    """The entry's path, known to stay below the folder it is unpacked to."""
    name = entry.orig_filename.rstrip("/") if entry.is_dir() else entry.orig_filename
    shown = ascii(name[:100])
    parts = name.split("/")
    if not name or _FORBIDDEN.search(name) or any(part in ("", ".", "..") for part in parts):
        raise UnsafeBundle(f"the name {shown} is not allowed")
    if len(parts) > DEPTH or any(len(part.encode()) > NAME_BYTES for part in parts):
        raise UnsafeBundle(f"the name {shown} is too long")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeBundle(f"{shown} is a link or a device")
    if entry.flag_bits & 0x1:
        raise UnsafeBundle(f"{shown} is encrypted")
    if entry.compress_type not in _METHODS:
        raise UnsafeBundle(f"{shown} is compressed in a way we do not read")
    return PurePosixPath(name)


def _write_all(opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo], into: Path, most: int) -> int:
    written = 0
    for entry in entries:
        target = into.joinpath(_path(entry))
        if entry.is_dir():
            target.mkdir(mode=0o755, parents=True, exist_ok=True)
            continue
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        written += _write(opened, entry, target, most - written)
    return written


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most: int) -> int:
    """Counts what comes out: the sizes in the archive are claims."""
    written = 0
    with opened.open(entry) as source, target.open("xb") as file:
        while block := source.read(BLOCK):
            written += len(block)
            if written > most:
                raise _TooLarge("it unpacks to more than allowed")
            file.write(block)
    target.chmod(0o644)
    return written
