"""The bundle: a ZIP of a .blend and what it needs, the same bytes for the same files.

Same bytes: names sorted, times and permissions fixed, one compression. So a bundle that was sent before is recognised by its
SHA-256 and not sent again, and a broken upload of a rebuilt bundle goes on where it stopped. (The compressed bytes are those of
this Python's zlib; another zlib may give another, equally good bundle.)
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framelend.problems import LocalProblem

EPOCH = (1980, 1, 1, 0, 0, 0)
PIECE = 1 << 20
DENSE = frozenset(
    f".{suffix}"
    for suffix in (
        "7z", "avi", "exr", "flac", "gif", "gz", "hdr", "jpeg", "jpg", "jxl", "m4a", "mkv", "mov", "mp3", "mp4", "ogg", "png",
        "rar", "vdb", "webm", "webp", "xz", "zip", "zst",
    )
)  # fmt: skip
"""Already compressed: stored as they are."""
ZSTD, GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_BACKUP = re.compile(r"\.blend\d+$|\.blend@$")
_SKIPPED = frozenset({"__pycache__", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Contents:
    """What goes in: paths inside the bundle (with /) and the files they come from. `blend` is what will be rendered."""

    files: tuple[tuple[str, Path], ...]
    blend: str

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for _, path in self.files)


@dataclass(frozen=True)
class Bundle:
    path: Path
    sha256: str
    bytes: int


def gather(source: Path, assets: Sequence[Path] = (), blend: str | None = None) -> Contents:
    """A .blend (with folders or files of assets beside it), or a folder. Raises LocalProblem saying what is wrong.

    Paths inside the bundle are relative to the folder that holds everything, so that Blender's `//` paths still lead there.
    """
    if not source.exists():
        raise LocalProblem(f"{source} does not exist.")
    source = source.resolve()
    if source.is_dir():
        return _folder(source, blend)
    if source.suffix != ".blend":
        raise LocalProblem(f"{source} is neither a .blend file nor a folder.")
    missing = [str(path) for path in assets if not path.exists()]
    if missing:
        raise LocalProblem(f"Assets not found: {', '.join(missing)}.")
    besides = [path.resolve() for path in assets]
    root = _root([source.parent, *(path if path.is_dir() else path.parent for path in besides)])
    found = {_inside(path, root): path for one in (source, *besides) for path in _walk(one, root)}
    return Contents(tuple(sorted(found.items())), _inside(source, root))


def pack(contents: Contents, target: Path) -> Bundle:
    """Write the bundle. Raises LocalProblem for a file that cannot be read or changed while it was read, and when there is no
    room."""
    try:
        with zipfile.ZipFile(target, "w", allowZip64=True, strict_timestamps=True) as archive:
            for name, path in contents.files:
                _add(archive, name, path)
    except OSError as problem:
        advice = "Make room there, or name another folder in TMPDIR."
        raise LocalProblem(f"The bundle cannot be written in {target.parent}: {problem.strerror}. {advice}") from None
    digest = hashlib.sha256()
    with target.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return Bundle(target, digest.hexdigest(), target.stat().st_size)


def _folder(folder: Path, blend: str | None) -> Contents:
    found = dict(sorted((_inside(path, folder), path) for path in _walk(folder, folder)))
    blends = [name for name in found if name.endswith(".blend")]
    wanted = blend.replace(os.sep, "/").removeprefix("./") if blend else (blends[0] if len(blends) == 1 else None)
    if wanted in blends and wanted is not None:
        return Contents(tuple(found.items()), wanted)
    if not blends:
        raise LocalProblem(f"{folder} holds no .blend file.")
    raise LocalProblem(f"{folder} holds several .blend files; name one with --blend: {', '.join(blends[:20])}.")


def _root(folders: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        raise LocalProblem("The .blend and its assets lie on different drives; put them into one folder.") from None


def _walk(start: Path, root: Path) -> Iterator[Path]:
    """Every file at or below `start` (a resolved path), by the names it is reached by; links are followed inside the root and
    refused when they lead out of it."""
    stack: list[tuple[Path, frozenset[Path]]] = [(start, frozenset())]
    while stack:
        path, above = stack.pop()
        real = _checked(path, root)
        if real.is_dir() and real not in above:  # else a link in a circle
            stack.extend((child, above | {real}) for child in path.iterdir() if not _skipped(child))
        elif real.is_file():
            yield path


def _checked(path: Path, root: Path) -> Path:
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise LocalProblem(f"{path} is a link that leads nowhere; remove it or put the file there.") from None
    if not real.is_relative_to(root):
        raise LocalProblem(f"{path} is a link that leaves the folder (to {real}); copy what it points to into the folder.")
    return real


def _skipped(path: Path) -> bool:
    return path.name.startswith(".") or path.name in _SKIPPED or _BACKUP.search(path.name) is not None


def _inside(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise LocalProblem(f"The name of {name!a} is not UTF-8; rename that file.") from None
    return name


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    with _reading(path):
        size, dense = path.stat().st_size, _dense(path)
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system, info.external_attr, info.file_size = 3, 0o100644 << 16, size
    info.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
    written = 0
    with archive.open(info, "w") as target:
        for piece in _pieces(path):
            written += len(piece)
            target.write(piece)
    if written != size:
        raise LocalProblem(f"{path} changed while it was read; save it and try again.")


def _pieces(path: Path) -> Iterator[bytes]:
    """What goes wrong where they are written to is no fault of this file."""
    with _reading(path), path.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise LocalProblem(f"{path} cannot be read: {problem.strerror}.") from None


def _dense(path: Path) -> bool:
    if path.suffix.lower() in DENSE:
        return True
    with path.open("rb") as file:
        start = file.read(4)
    return start.startswith((ZSTD, GZIP))
