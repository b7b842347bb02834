"""Takes finished pictures off a hostile process, and has them decoded.

A picture counts only as the bytes we received and wrote down ourselves, as many as were announced and agreed; hashed and decoded
from our own file, which no container can reach.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agent import decoding
from contracts.values import Picture

ANSWER_SECONDS = 120
BASE_MEGABYTES = 512
BYTES_PER_PIXEL = 12
"""Decoded samples take 4, those of 16 bits 8: Pillow keeps the two halves of each as pictures of their own."""


class SpoiltPicture(Exception):
    """What was handed over is not the frame; the text says why."""


@dataclass(frozen=True)
class Received:
    bytes: int
    file_sha256: str


def file_name(frame: int) -> str:
    """As the driver names it: six digits, a minus sign before them for negative frames."""
    return f"{'-' if frame < 0 else ''}{abs(frame):06d}.png"


async def receive(blocks: AsyncIterator[bytes], to: Path) -> Received:
    """Writes them to `to` (synced, then renamed into place). Raises what `blocks` raises, and OSError when the disk is full."""
    part, digest, total = to.with_suffix(".part"), hashlib.sha256(), 0
    file = await asyncio.to_thread(part.open, "wb")
    try:
        async for block in blocks:
            digest.update(block)
            total += len(block)
            await asyncio.to_thread(file.write, block)
        await asyncio.to_thread(_settle, file, part, to)
    finally:
        file.close()
        part.unlink(missing_ok=True)
    return Received(total, digest.hexdigest())


def _settle(file: BinaryIO, part: Path, to: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    part.rename(to)


class Decoder:
    """The child process of one attempt. Dies with it; starts again after a picture that killed it."""

    def __init__(
        self, width: int | None, height: int | None, bits: int, most_pixels: int, base_megabytes: int = BASE_MEGABYTES
    ) -> None:
        self._size = {"width": width, "height": height, "bits": bits}
        self._megabytes = base_megabytes + most_pixels * BYTES_PER_PIXEL // (1 << 20)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @classmethod
    def of(cls, picture: Picture, is_whole: bool) -> "Decoder":
        """A probe's picture may have any size up to the full one: it is thrown away."""
        width, height = (picture.width, picture.height) if is_whole else (None, None)
        return cls(width, height, picture.bits, picture.width * picture.height)

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
