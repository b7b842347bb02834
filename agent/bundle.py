"""Bundles on this machine: asked for, downloaded, checked against their hash, unpacked once, kept while there is room.

An entry of the cache is a folder named by the bundle's SHA-256. It is complete or it is not there: it is made under another name,
on the disk as a whole, and renamed. Containers see it read-only, so jobs with the same bundle share it. An archive on its way
here lies beside them; one that was broken off may stay for the next attempt, within what the cache may take.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import structlog

from agent import unpack
from agent.durable import sync, sync_tree

log = structlog.get_logger()

FILES = "files"
UNFINISHED = ".new-"
ARCHIVE = ".archive-"


class BundleCache:
    """Least recently used entries go first; entries in use never. `keep_free_bytes` of the disk stay free, whatever is added."""

    def __init__(self, folder: Path, most_bytes: int, keep_free_bytes: int) -> None:
        self._folder, self._most, self._keep_free = folder, most_bytes, keep_free_bytes
        self._unpacking = threading.Lock()  # two at a time would each take the room that is left
        self._users: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for damaged in (entry for entry in self._entries() if not _is_whole(entry)):
            log.warning("a kept scene is damaged and is fetched again when it is needed", bundle=damaged.name)
            self._drop(damaged)

    def turn(self, sha256: str) -> asyncio.Lock:
        """Held while this bundle is being fetched, so that two attempts fetch it once."""
        return self._turns.setdefault(sha256, asyncio.Lock())

    def find(self, sha256: str) -> Path | None:
        """The folder of its files; counts as use."""
        files = self._folder / sha256 / FILES
        if not files.is_dir():
            return None
        os.utime(files.parent)
        return files

    def names(self, most: int) -> tuple[str, ...]:
        """Of bundles that are here, the latest used first."""
        return tuple(path.name for path in self._entries()[::-1][:most])

    @contextlib.contextmanager
    def used(self, sha256: str) -> Iterator[None]:
        """Not evicted meanwhile."""
        self._users[sha256] += 1
        try:
            yield
        finally:
            self._users[sha256] -= 1

    async def add(self, sha256: str, archive: Path) -> Path:
        """Unpacks a checked archive; also when nobody waits for it any more. Raises unpack.UnsafeBundle, OSError."""
        adding = asyncio.get_running_loop().run_in_executor(None, self._add, sha256, archive, frozenset(self._idle()))
        adding.add_done_callback(lambda _: self._drop_idle())
        return await asyncio.shield(adding)

    def archive(self, sha256: str) -> Path:
        """Where it is downloaded to, by who has its turn."""
        return self._folder / f"{ARCHIVE}{sha256}"

    def broken_off(self, sha256: str) -> None:
        """What came so far is kept, in the place of any other such; unless the cache would be fuller than it may be."""
        mine, entries = self.archive(sha256), self._entries()
        for path in self._idle():
            path.unlink(missing_ok=True)
        if sum(map(_size, entries)) + _length(mine) > self._most:
            mine.unlink(missing_ok=True)

    def _idle(self) -> list[Path]:
        """Archives that nobody is downloading."""
        turns = {name for name, turn in self._turns.items() if turn.locked()}
        return [path for path in self._archives() if path.name.removeprefix(ARCHIVE) not in turns]

    def _drop_idle(self) -> None:
        """In the event loop, where turns are taken: what is idle there nobody begins to go on with meanwhile."""
        for path in self._idle():
            if sum(map(_size, self._entries())) + sum(map(_length, self._archives())) > self._most:
                path.unlink(missing_ok=True)

    def _archives(self) -> list[Path]:
        return list(self._folder.glob(f"{ARCHIVE}*"))

    def _add(self, sha256: str, archive: Path, idle: frozenset[Path]) -> Path:
        """`idle` archives go before any entry does, right after this."""
        with self._unpacking:
            if self.find(sha256) is None:  # else by an attempt that ended meanwhile
                self._unpack(sha256, archive)
            self.archive(sha256).unlink(missing_ok=True)
            self._evict(keep=sha256, idle=idle)
        return self._folder / sha256 / FILES

    def _unpack(self, sha256: str, archive: Path) -> None:
        new = self._folder / f"{UNFINISHED}{sha256}"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            size = unpack.unpack(archive, new / FILES, unpack.Limits(min(max(0, self._room()), self._most)))
            if self._room() < 0:  # files take whole blocks
                raise OSError(errno.ENOSPC, "no room for it in what its owner keeps free")
            (new / "bytes").write_text(str(size), encoding="ascii")
            sync_tree(new)  # a power cut would else leave a whole entry of empty files
            new.rename(self._folder / sha256)
            sync(self._folder)  # before its archive goes
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def spare_bytes(self) -> int:
        """What would come free if everything went that nobody uses."""
        return sum(_size(path) for path in self._entries() if not self._users[path.name]) + sum(map(_length, self._idle()))

    async def make_room(self, count: int) -> None:
        """What was broken off goes, then what was used longest ago, until so many bytes may be used or nothing is left to go."""
        for path in self._idle():  # in the event loop, where turns are taken
            if self._room() < count:
                path.unlink(missing_ok=True)
        await asyncio.to_thread(self._make_room, count)

    def _make_room(self, count: int) -> None:
        with self._unpacking:
            for path in self._entries():
                if self._room() >= count:
                    return
                if not self._users[path.name]:
                    self._drop(path)

    def _drop(self, path: Path) -> None:
        gone = path.rename(self._folder / f"{UNFINISHED}gone-{path.name}-{time.monotonic_ns()}")
        shutil.rmtree(gone, ignore_errors=True)

    def _room(self) -> int:
        """Bytes that may still be used; below 0 when more are used already."""
        return shutil.disk_usage(self._folder).free - self._keep_free

    def _evict(self, keep: str, idle: frozenset[Path]) -> None:
        entries = self._entries()
        total = sum(map(_size, entries)) + sum(_length(path) for path in self._archives() if path not in idle)
        for path in entries:
            if total <= self._most:
                return
            if path.name != keep and not self._users[path.name]:
                total -= _size(path)
                self._drop(path)

    def _entries(self) -> list[Path]:
        """Oldest use first."""
        return sorted((path for path in self._folder.iterdir() if len(path.name) == 64), key=_used_at)


def kept_bytes(folder: Path) -> int:
    """What the scenes in a cache's folder take, for who only looks at it."""
    return sum(_size(entry) for entry in folder.iterdir() if len(entry.name) == 64) if folder.is_dir() else 0


def _used_at(entry: Path) -> float:
    """One that has just gone is as old as can be."""
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0


def _length(archive: Path) -> int:
    """One that has just gone has none."""
    try:
        return archive.stat().st_size
    except OSError:
        return 0


def _size(entry: Path) -> int:
    try:
        return int((entry / "bytes").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _is_whole(entry: Path) -> bool:
    """Whether its files have the sizes they were unpacked with: nothing is read. What a power cut or a failing disk has emptied
    does not."""
    try:
        told = int((entry / "bytes").read_text(encoding="ascii"))
        found = [path.lstat() for path in (entry / FILES).rglob("*")]
    except (OSError, ValueError):
        return False
    return (entry / FILES).is_dir() and told == sum(one.st_size for one in found if stat.S_ISREG(one.st_mode))
