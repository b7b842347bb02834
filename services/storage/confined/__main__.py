"""Child processes of storage: questions come in on stdin, answers go out on stdout, each behind a length.

`pictures`: for ever, one picture after another. `archive`: stdin is the archive itself. `sheet`: pictures until the end of stdin,
one answer. `run`: becomes another program behind the same walls.
"""

import json
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from PIL import Image

from services.storage.confined import walls
from services.storage.confined.archive import examine
from services.storage.confined.pictures import look
from services.storage.confined.sheet import sheet
from services.storage.domain.archive import Limits, Unsafe
from services.storage.domain.png import NotThePicture

LENGTH = struct.Struct(">Q")
SHEET_SECONDS = 60


def read_part(source: BinaryIO) -> bytes | None:
    """The next length-prefixed piece; None at the end."""
    head = source.read(LENGTH.size)
    return source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _parts(source: BinaryIO) -> Iterator[bytes]:
    while (part := read_part(source)) is not None:
        yield part


def _answer(told: dict[str, Any], attached: bytes = b"") -> None:
    out = sys.stdout.buffer
    head = json.dumps(told).encode()
    out.write(LENGTH.pack(len(head)) + head + LENGTH.pack(len(attached)) + attached)
    out.flush()


def pictures(memory_bytes: int) -> None:
    walls.confine(memory_bytes=memory_bytes)
    parts = _parts(sys.stdin.buffer)
    for asked in parts:
        wanted, data = json.loads(asked), next(parts)
        walls.allow_seconds(wanted["seconds"])
        try:
            seen = look(data, wanted["width"], wanted["height"], wanted["bits"])
        except NotThePicture as no:
            _answer({"ok": False, "code": no.code, "text": no.text})
        else:
            _answer({"ok": True, "pixel_sha256": seen.pixel_sha256}, seen.thumbnail)


def archive(memory_bytes: int, limits: Limits) -> None:
    file = os.fdopen(os.dup(0), "rb")
    size = os.fstat(file.fileno()).st_size
    walls.confine(memory_bytes=memory_bytes)
    try:
        contents = examine(file, size, limits)
    except Unsafe as no:
        _answer({"ok": False, "code": no.code, "text": no.text})
    else:
        _answer({"ok": True, **asdict(contents)})


def one_sheet(memory_bytes: int) -> None:
    walls.confine(memory_bytes=memory_bytes)
    walls.allow_seconds(SHEET_SECONDS)
    _answer({"ok": True}, sheet(_parts(sys.stdin.buffer)))


def run(memory_bytes: int, file_bytes: int, program: list[str]) -> None:
    walls.confine(memory_bytes=memory_bytes, file_bytes=file_bytes, children=True)
    os.execv(program[0], program)  # noqa: S606


def main() -> None:
    what, settings, *rest = sys.argv[1:]
    given: dict[str, int] = json.loads(settings)
    memory = given.pop("memory_bytes")
    Image.init()
    if what == "pictures":
        pictures(memory)
    elif what == "archive":
        archive(memory, Limits(**given))
    elif what == "sheet":
        one_sheet(memory)
    else:
        run(memory, given["file_bytes"], rest)


main()
