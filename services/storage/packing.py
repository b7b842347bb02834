"""How a job's frames become one file: each taker gets every frame once, in order, and opens what it has made.

A film or sheet that cannot be made is given up with a log line; a ZIP that cannot is an error.
"""

import asyncio
import json
import shutil
import zipfile
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any, Protocol

import structlog

from services.storage.children import GIB, Lost, answer, become, end, send, start, writable
from services.storage.domain.job import file_name

log = structlog.get_logger()
ZIP, FILM, SHEET = "frames.zip", "film.mp4", "contact-sheet.png"
TYPES = {ZIP: "application/zip", FILM: "video/mp4", SHEET: "image/png"}
SHEET_FRAMES = 24
MAX_SHEET = 64 << 20
SHEET_SECONDS, PROBE_SECONDS, FRAME_SECONDS, FILM_SECONDS = 60, 60, 300, 6 * 3_600
EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2"
"""libx264 refuses odd sizes."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The same frames give the same ZIP."""


class Taker(Protocol):
    """`end` returns the file, opened and found good, or None; `close` leaves nothing running, whatever came before."""

    async def begin(self) -> None: ...
    async def take(self, frame: int, data: bytes) -> None: ...
    async def end(self) -> Path | None: ...
    async def close(self) -> None: ...


class Zipping:
    """PNGs are packed as they are."""

    def __init__(self, folder: Path, inner: str, numbers: list[int]) -> None:
        self._path, self._inner = folder / ZIP, inner
        self._digits = max(4, *(len(str(abs(number))) for number in numbers))
        self._zip = zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED, allowZip64=True)

    async def begin(self) -> None:
        return

    async def take(self, frame: int, data: bytes) -> None:
        info = zipfile.ZipInfo(f"{self._inner}/{file_name(frame, self._digits)}", LONG_AGO)
        info.external_attr = 0o100644 << 16
        await asyncio.to_thread(self._zip.writestr, info, data)

    async def end(self) -> Path:
        self._zip.close()
        bad = await asyncio.to_thread(_first_bad, self._path)
        if bad is not None:
            raise RuntimeError(f"{bad} is damaged in the ZIP just made")
        return self._path

    async def close(self) -> None:
        self._zip.close()


class Filming:
    """H.264 by ffmpeg, fed with PNGs; frames that do not exist are simply not there."""

    def __init__(self, folder: Path, fps_milli: int) -> None:
        self._folder, self._fps_milli = folder / "film", fps_milli
        self._ffmpeg: Process | None = None
        self._said: asyncio.Task[bytes] | None = None
        self._frames = 0

    async def begin(self) -> None:
        writable(self._folder)
        program = shutil.which("ffmpeg")
        if program is None:
            log.error("no film: ffmpeg is not installed")
            return
        taking = ("-f", "image2pipe", "-c:v", "png", "-framerate", f"{self._fps_milli}/1000", "-i", "pipe:0")
        making = ("-an", "-vf", EVEN, "-c:v", "libx264", "-preset", "medium", "-crf", "18", "-pix_fmt", "yuv420p")
        words = (program, "-v", "error", "-y", *taking, *making, "-movflags", "+faststart", FILM)
        self._ffmpeg = await become(words, self._folder, 64 * GIB)
        assert self._ffmpeg.stderr is not None
        self._said = asyncio.create_task(_tail(self._ffmpeg.stderr))

    async def take(self, frame: int, data: bytes) -> None:
        if self._ffmpeg is None or self._ffmpeg.stdin is None:
            return
        try:
            self._ffmpeg.stdin.write(data)
            await asyncio.wait_for(self._ffmpeg.stdin.drain(), FRAME_SECONDS)
            self._frames += 1
        except TimeoutError:
            self._ffmpeg.kill()
        except OSError:
            return  # it is gone; `end` says why

    async def end(self) -> Path | None:
        if self._ffmpeg is None or self._ffmpeg.stdin is None or self._said is None:
            return None
        self._ffmpeg.stdin.close()
        try:
            code = await asyncio.wait_for(self._ffmpeg.wait(), FILM_SECONDS)
        except TimeoutError:
            code = -1
        path = self._folder / FILM
        if code == 0 and await _packets(path) == self._frames:
            return path
        log.error("no film", code=code, said=(await self._said)[-1_000:].decode(errors="replace"))
        return None

    async def close(self) -> None:
        if self._ffmpeg is not None:
            await end(self._ffmpeg)
        if self._said is not None:
            await self._said


class Sheeting:
    """At most 24 frames, evenly spaced with both ends, on one picture."""

    def __init__(self, folder: Path, numbers: list[int]) -> None:
        self._path = folder / SHEET
        self._chosen = chosen(numbers, SHEET_FRAMES)
        self._child: Process | None = None

    async def begin(self) -> None:
        self._child = await start("sheet", {"memory_bytes": 4 * GIB})

    async def take(self, frame: int, data: bytes) -> None:
        if frame in self._chosen and self._child is not None:
            try:
                await asyncio.wait_for(send(self._child, data), FRAME_SECONDS)
            except (OSError, TimeoutError):
                return  # `end` finds no answer

    async def end(self) -> Path | None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            _, page = await asyncio.wait_for(answer(self._child, MAX_SHEET), SHEET_SECONDS)
        except (Lost, TimeoutError) as problem:
            log.error("no contact sheet", problem=repr(problem))
            return None
        self._path.write_bytes(page)
        return self._path

    async def close(self) -> None:
        if self._child is not None:
            await end(self._child)


def chosen(numbers: list[int], most: int) -> frozenset[int]:
    """At most so many, evenly spaced, with both ends."""
    if len(numbers) <= most:
        return frozenset(numbers)
    return frozenset(numbers[at * (len(numbers) - 1) // (most - 1)] for at in range(most))


def _first_bad(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


async def _packets(path: Path) -> int:
    """Pictures in a film, as ffprobe counts them; 0 when it cannot be opened."""
    program = shutil.which("ffprobe")
    if program is None:
        return 0
    asked = ("-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "json")
    child = await become((program, *asked, path.name), path.parent, 0)
    try:
        out, _ = await asyncio.wait_for(child.communicate(), PROBE_SECONDS)
        told: Any = json.loads(out)
        return int(told["streams"][0]["nb_read_packets"])
    except (TimeoutError, ValueError, KeyError, IndexError, TypeError):
        return 0
    finally:
        await end(child)


async def _tail(stream: asyncio.StreamReader, most: int = 4_000) -> bytes:
    """The end of what a program says, so that it never waits for a reader."""
    said = b""
    while piece := await stream.read(4_096):
        said = (said + piece)[-most:]
    return said
