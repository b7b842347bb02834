"""Stdin is an archive; one answer."""

import os
from dataclasses import asdict

from services.storage.confined import walls
from services.storage.confined.archive import examine
from services.storage.confined.pipes import answer
from services.storage.domain.archive import Limits, Unsafe


def main(memory_bytes: int, **limits: int) -> None:
    file = os.fdopen(os.dup(0), "rb")
    size = os.fstat(file.fileno()).st_size
    walls.confine(memory_bytes=memory_bytes)
    try:
        contents = examine(file, size, Limits(**limits))
    except Unsafe as no:
        answer({"ok": False, "code": no.code, "text": no.text})
    else:
        answer({"ok": True, **asdict(contents)})
