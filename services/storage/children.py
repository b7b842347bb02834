"""Hands strangers' files to confined processes and takes their answers, never at their word alone.

A child that dies, lies about lengths or takes too long is replaced; the file it was looking at counts as unreadable.
"""

import asyncio
import json
import os
import re
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from contracts.values import Picture
from services.storage.domain import archive, png
from services.storage.domain.archive import Limits, Unsafe
from services.storage.domain.png import NotThePicture
from services.storage.metrics import CHILDREN_LOST

log = structlog.get_logger()
LENGTH = struct.Struct(">Q")
MAX_HEAD, MAX_THUMBNAIL = 256 << 10, 256 << 10
TOO_MUCH = "The picture cannot be decoded within the limits."
ARCHIVE_SECONDS = 1_800
PICTURES_PER_CHILD = 1_000
GIB = 1 << 30
NOBODY = 65_534
CHECKOUT = Path(__file__).parents[2]


class Lost(Exception):
    """The child gave no answer, or none that makes sense."""


class Children:
    """At most `most` confined processes look at pictures at the same time."""

    def __init__(self, most: int, memory_bytes: int = 4 * GIB) -> None:
        self._memory = memory_bytes
        self._turns = asyncio.Semaphore(most)
        self._idle: list[tuple[Process, int]] = []

    async def look(self, data: bytes, picture: Picture) -> tuple[str, bytes]:
        """(pixel hash, thumbnail) of a PNG. Raises NotThePicture."""
        async with self._turns:
            try:
                told, thumbnail = await self._ask(data, picture)
            except Lost:  # perhaps of another picture, or killed from outside: that is not held against this one
                told, thumbnail = await self._ask_anew(data, picture)
        if not told.get("ok"):
            raise NotThePicture(_known(told.get("code"), png.CODES, "broken"), str(told.get("text"))[:500])
        return str(told["pixel_sha256"]), thumbnail

    async def _ask_anew(self, data: bytes, picture: Picture) -> tuple[dict[str, Any], bytes]:
        await self.close()
        try:
            return await self._ask(data, picture)
        except Lost:
            raise NotThePicture("broken", TOO_MUCH) from None

    async def _ask(self, data: bytes, picture: Picture) -> tuple[dict[str, Any], bytes]:
        """Raises Lost, and NotThePicture when it takes too long."""
        seconds = picture_seconds(picture)
        asked = {"width": picture.width, "height": picture.height, "bits": picture.bits, "seconds": seconds}
        async with self._child() as child:
            try:
                told, thumbnail = await asyncio.wait_for(_asked(child, asked, data), seconds)
            except TimeoutError:
                raise NotThePicture("broken", TOO_MUCH) from None
            if told.get("ok") and not _sensible(told, thumbnail):
                raise Lost("no sensible answer")
            return told, thumbnail

    async def examine(self, file: BinaryIO, limits: Limits) -> dict[str, Any]:
        """The contents of a safe archive: files, unpacked_bytes, blends. Raises Unsafe."""
        child = await start("archive", {"memory_bytes": self._memory, **asdict(limits)}, stdin=file.fileno())
        try:
            told, _ = await asyncio.wait_for(answer(child, 0), ARCHIVE_SECONDS)
        except (Lost, TimeoutError):
            CHILDREN_LOST.inc()
            raise Unsafe("not_an_archive", "The bundle cannot be unpacked within the limits. Pack it again.") from None
        finally:
            await end(child)
        if not told.get("ok"):
            raise Unsafe(_known(told.get("code"), archive.CODES, "not_an_archive"), str(told.get("text"))[:1_000])
        return told

    async def close(self) -> None:
        while self._idle:
            await end(self._idle.pop()[0])

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[Process]:
        """An idle child or a new one; one that fails is not used again."""
        child, used = self._idle.pop() if self._idle else (await start("pictures", {"memory_bytes": self._memory}), 0)
        try:
            yield child
        except BaseException:
            CHILDREN_LOST.inc()
            await end(child)
            raise
        if used + 1 < PICTURES_PER_CHILD:
            self._idle.append((child, used + 1))
        else:
            await end(child)


def picture_seconds(picture: Picture) -> int:
    """Ten times what it takes."""
    return 10 + 2 * picture.width * picture.height // 1_000_000


def _known(code: object, codes: frozenset[str], otherwise: str) -> str:
    return code if isinstance(code, str) and code in codes else otherwise


def _sensible(told: dict[str, Any], thumbnail: bytes) -> bool:
    return re.fullmatch("[0-9a-f]{64}", str(told.get("pixel_sha256"))) is not None and thumbnail[:4] == b"RIFF"


async def become(program: Sequence[str], folder: Path, file_bytes: int) -> Process:
    """Another program behind the same walls, in a folder that the confined user may write to. All its streams are pipes."""
    settings = {"memory_bytes": 8 * GIB, "file_bytes": file_bytes, "words": list(program)}
    return await start("program", settings, cwd=folder)


def writable(folder: Path) -> Path:
    """A new folder that confined processes may write to."""
    folder.mkdir()
    folder.parent.chmod(0o711)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    return folder


async def start(what: str, settings: Mapping[str, Any], stdin: int | None = PIPE, cwd: Path = Path("/")) -> Process:
    """With nothing of our environment and none of our open files."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-s", "-P", "-B", "-m", "services.storage.confined", what, json.dumps(settings)),
        stdin=stdin,
        stdout=PIPE,
        stderr=PIPE if what == "program" else None,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd=cwd,
        close_fds=True,
    )


async def _asked(child: Process, asked: dict[str, int], data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        await send(child, json.dumps(asked).encode())
        await send(child, data)
    except OSError as gone:
        raise Lost("the child is gone") from gone
    return await answer(child, MAX_THUMBNAIL)


async def send(child: Process, part: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(LENGTH.pack(len(part)))
    child.stdin.write(part)
    await child.stdin.drain()


async def answer(child: Process, most: int) -> tuple[dict[str, Any], bytes]:
    try:
        head = json.loads(await _part(child, MAX_HEAD))
        attached = await _part(child, most)
    except (asyncio.IncompleteReadError, ValueError, RecursionError) as problem:
        raise Lost(repr(problem)[:200]) from problem
    if not isinstance(head, dict):
        raise Lost("no answer")
    return head, attached


async def _part(child: Process, most: int) -> bytes:
    assert child.stdout is not None
    (length,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
    if length > most:
        raise Lost(f"an answer of {length} bytes")
    return await child.stdout.readexactly(length)


async def end(child: Process) -> None:
    """SIGKILL: a child holds nothing worth keeping."""
    with suppress(ProcessLookupError):
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    await child.wait()
