"""Takes finished pictures out of a folder that a hostile process still writes to, and has them decoded.

A file counts only as the bytes we copied: opened without following links, a regular file, not larger than agreed; hashed and
decoded from our copy, which the container cannot reach.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from agent import decoding

CHUNK = 1 << 20
ANSWER_SECONDS = 120
BASE_MEGABYTES = 512


class SpoiltPicture(Exception):
    """What lies in the output folder is not the frame; the text says why."""


@dataclass(frozen=True)
class Copied:
    bytes: int
    file_sha256: str


def file_name(frame: int) -> str:
    """As the driver names it: six digits, a minus sign before them for negative frames."""
    return f"{'-' if frame < 0 else ''}{abs(frame):06d}.png"


def take(out: Path, frame: int, to: Path, max_bytes: int) -> Copied:
    """Copies the frame's file to `to` (synced, then renamed into place) and unlinks it. Raises SpoiltPicture."""
    name = file_name(frame)
    folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        try:
            copied = _copy(source, to, max_bytes)
        finally:
            os.close(source)
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        return copied
    except OSError as wrong:
        raise SpoiltPicture(f"frame {frame} cannot be taken: {wrong.strerror}") from None
    finally:
        os.close(folder)


def _copy(source: int, to: Path, max_bytes: int) -> Copied:
    found = os.fstat(source)
    if not stat.S_ISREG(found.st_mode):
        raise SpoiltPicture("it is not a regular file")
    if not 0 < found.st_size <= max_bytes:
        raise SpoiltPicture(f"its {found.st_size} bytes are not within 1 to {max_bytes}")
    digest, total, part = hashlib.sha256(), 0, to.with_suffix(".part")
    with part.open("wb") as target:
        while block := os.read(source, CHUNK):
            total += len(block)
            if total > max_bytes:
                raise SpoiltPicture(f"it grew beyond {max_bytes} bytes")
            digest.update(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    part.rename(to)
    return Copied(total, digest.hexdigest())


class Decoder:
    """The child process of one attempt. Dies with it; starts again after a picture that killed it."""

    def __init__(
        self, width: int | None, height: int | None, bits: int, most_pixels: int, base_megabytes: int = BASE_MEGABYTES
    ) -> None:
        self._size = {"width": width, "height": height, "bits": bits}
        self._megabytes = base_megabytes + most_pixels * 24 // (1 << 20)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def pixel_sha256(self, path: Path) -> str:
        """Decodes all of it. Raises SpoiltPicture."""
        async with self._turn:
            try:
                line = await asyncio.wait_for(self._ask(path), ANSWER_SECONDS)
                answer = json.loads(line)
            except (TimeoutError, ValueError, OSError):
                await self._end()
                raise SpoiltPicture("decoding it took too long or too much memory") from None
        if "bad" in answer:
            raise SpoiltPicture(str(answer["bad"]))
        return str(answer["pixel_sha256"])

    async def start(self) -> None:
        """Ahead of the first picture, so that it does not wait."""
        async with self._turn:
            await self._started()

    async def close(self) -> None:
        async with self._turn:
            await self._end()

    async def _ask(self, path: Path) -> bytes:
        process = await self._started()
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes to the decoder")
        process.stdin.write(json.dumps({"path": str(path), **self._size}).encode() + b"\n")
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                decoding.__file__,
                str(self._megabytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                start_new_session=True,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()
