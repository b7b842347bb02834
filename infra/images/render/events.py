"""The container's voice: JSON lines and pictures on what was standard output, all else of the process on standard error."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

BLOCK = 1 << 20
HEARD = 1 << 20
PROGRESS_SECONDS = 1.0  # of each of two kinds of words
REMAINING = re.compile(r"Remaining: ?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def take_stdout() -> TextIO:
    """Keeps standard output for us and points file descriptor 1 at standard error.

    Call it before bpy is imported: Blender and its libraries print to file descriptor 1 from C.
    """
    ours = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return ours


@contextmanager
def overheard() -> Iterator[list[str]]:
    """What Blender writes to file descriptor 1 and 2 meanwhile, its first MiB; afterwards it stands on standard error as ever."""
    said = [""]
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield said
        finally:
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)
            file.seek(0)
            said[0] = (words := file.read(HEARD)).decode(errors="replace")
            os.write(2, words)


def say(out: TextIO, event: str, **fields: object) -> None:
    """Writes one event as one line of ASCII JSON. Texts are at most 300 characters, so a line stays below 4 KiB."""
    out.write(json.dumps({"event": event, **fields}, allow_nan=False) + "\n")
    out.flush()


def hand_over(out: TextIO, path: str, count: int) -> None:
    """Writes the first `count` bytes of a file right behind the line that announced them."""
    with open(path, "rb") as file:
        while count and (block := file.read(min(count, BLOCK))):
            out.buffer.write(block)
            count -= len(block)
    out.buffer.flush()


def remaining_seconds(text: str) -> float | None:
    """Blender's own guess in `Remaining: [H:]MM:SS.ss`, the best there is inside one frame on a CPU."""
    found = REMAINING.search(text)
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)


class Progress:
    """Blender's render statistics as events, at most two a second: it speaks once per synchronised object.

    Words about samples have a clock of their own, else a burst about objects hides the one estimate there may be for long.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last = {True: float("-inf"), False: float("-inf")}
        self.frame = 0

    def __call__(self, text: str, *_: object) -> None:
        now, sampling = time.monotonic(), "Sample " in str(text)
        if now - self._last[sampling] < PROGRESS_SECONDS:
            return
        self._last[sampling] = now
        say(self._out, "progress", frame=self.frame, text=str(text)[:200], remaining=remaining_seconds(str(text)))
