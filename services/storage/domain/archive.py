"""Which archives are safe to unpack on a stranger's machine: rules over names, kinds and sizes of the entries.

The bundle is a ZIP. Every rule answers a known attack: names that leave the folder or fall onto one another, links and devices,
encryption, entries that share bytes, bombs by number, size or ratio. Sizes declared here are promises of the sender; whoever
unpacks counts again (`services.storage.confined.archive` does).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MIB, GIB = 1 << 20, 1 << 30
MAX_NAME_BYTES = 1_024
MAX_PART_BYTES = 255
"""Of one folder or file name: the limit of most file systems."""
RATIO_COUNTS_FROM = 16 * MIB
"""Below this size unpacked nothing is a bomb, whatever its ratio."""
STORED, DEFLATED = 0, 8
ENCRYPTED_FLAGS = 0x1 | 0x20 | 0x40 | 0x2000
REPARSE_POINT = 0x400
KIND_MASK, REGULAR, FOLDER = 0o170000, 0o100000, 0o040000
REDIRECTING_EXTRAS = frozenset({0x7075, 0x756E})
"""Info-ZIP's other name (some readers prefer it) and the field that carries a link's target."""
BLEND_MAGICS = (b"BLENDER", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
"""Plain, zstandard and gzip .blend files."""

CODES = frozenset(
    {"empty", "too_many_files", "too_large", "bomb", "bad_name", "absolute_path", "path_escape", "long_name", "link", "encrypted"}
    | {"compression", "lying_size", "duplicate", "not_an_archive", "no_blend", "overlap", "two_names"}
    | {"wrong_size", "wrong_hash", "lost", "expired", "storage_error"}
)
"""Every reason for which an upload is rejected."""

_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Limits:
    """What one bundle may be; `max_ratio` is unpacked bytes per byte of the archive."""

    max_bytes: int = 64 * GIB
    max_unpacked_bytes: int = 64 * GIB
    max_entries: int = 20_000
    max_ratio: int = 200


@dataclass(frozen=True)
class Entry:
    """One line of the archive's table of contents, as it stands there."""

    name: str
    method: int
    flags: int
    attributes: int
    packed_bytes: int
    bytes: int
    extras: tuple[int, ...] = ()

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


class Unsafe(Exception):
    """This archive is refused; `code` for programs, `text` for the renter: what is wrong and what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def check(entries: Iterable[Entry], archive_bytes: int, limits: Limits) -> None:
    """Raises Unsafe at the first rule broken."""
    listed = list(entries)
    if not listed:
        raise Unsafe("empty", "The bundle has no files in it. Pack the .blend and what it uses, and send it again.")
    if len(listed) > limits.max_entries:
        raise Unsafe("too_many_files", f"The bundle has more than {limits.max_entries} files. Pack only what the scene uses.")
    for entry in listed:
        _check_name(entry.name)
        _check_kind(entry)
    _check_collisions(listed)
    check_size(sum(entry.bytes for entry in listed), archive_bytes, limits)


def check_size(unpacked: int, archive_bytes: int, limits: Limits) -> None:
    """Of all entries together, declared or counted."""
    if unpacked > limits.max_unpacked_bytes:
        most = limits.max_unpacked_bytes // GIB
        raise Unsafe("too_large", f"Unpacked the bundle would be larger than {most} GiB. Leave out what the scene does not use.")
    if unpacked > RATIO_COUNTS_FROM and unpacked > archive_bytes * limits.max_ratio:
        times = limits.max_ratio
        text = f"The bundle unpacks to more than {times} times its size, as archive bombs do. Pack it without compression."
        raise Unsafe("bomb", text)


def is_blend(name: str) -> bool:
    return name.lower().endswith(".blend")


def _check_name(name: str) -> None:
    shown = ascii(name[:80])
    if _CONTROL.search(name) or "\\" in name:
        raise Unsafe("bad_name", f"A file name in the bundle has a control character or a backslash: {shown}. Rename the file.")
    if name.startswith("/") or _DRIVE.match(name):
        raise Unsafe("absolute_path", f"The bundle names an absolute path: {shown}. Use paths relative to the bundle.")
    parts = name.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise Unsafe("path_escape", f"A path in the bundle is not plain ('..', '.', or empty parts): {shown}. Use plain paths.")
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES or any(
        len(p.encode(errors="replace")) > MAX_PART_BYTES for p in parts
    ):
        raise Unsafe("long_name", f"A path in the bundle is too long: {shown}. Use shorter names.")


def _check_kind(entry: Entry) -> None:
    shown = ascii(entry.name[:80])
    kind = (entry.attributes >> 16) & KIND_MASK
    if kind not in (0, FOLDER if entry.is_folder else REGULAR) or entry.attributes & REPARSE_POINT:
        raise Unsafe("link", f"{shown} is a link or special file. Pack the file that it points to.")
    if REDIRECTING_EXTRAS & set(entry.extras):
        raise Unsafe("link", f"{shown} carries a second name or a link target. Pack it with an ordinary ZIP program.")
    if entry.flags & ENCRYPTED_FLAGS:
        raise Unsafe("encrypted", f"{shown} is encrypted. Pack the bundle without a password.")
    if entry.method not in (STORED, DEFLATED):
        raise Unsafe("compression", f"{shown} uses a compression other than store or deflate. Pack it with one of these.")
    if entry.is_folder and entry.bytes:
        raise Unsafe("bad_name", f"{shown} is a folder with content. Pack it with an ordinary ZIP program.")
    if entry.method == STORED and entry.packed_bytes != entry.bytes:
        raise Unsafe("lying_size", f"{shown} is stored under a wrong size. Pack the bundle again.")


def _check_collisions(entries: list[Entry]) -> None:
    """No two entries may meet on a file system that ignores case or composes letters, nor a file be another's folder."""
    files: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        path = _folded(entry.name)
        if path in files or (entry.is_folder and path in folders):
            raise Unsafe("duplicate", f"Two entries of the bundle have the same name: {entry.name[:80]!a}. Keep one.")
        if not entry.is_folder:
            files.add(path)
        else:
            folders.add(path)
    inner = {parent for entry in entries for parent in _parents(_folded(entry.name))}
    if (inner | folders) & files:
        raise Unsafe("duplicate", "A name in the bundle is both a file and a folder. Rename one of them.")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.removesuffix("/")).casefold())


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
