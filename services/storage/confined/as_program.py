"""Becomes another program behind the same walls."""

import os

from services.storage.confined import walls


def main(memory_bytes: int, file_bytes: int, words: list[str]) -> None:
    walls.confine(memory_bytes=memory_bytes, file_bytes=file_bytes, children=True)
    os.execv(words[0], words)  # noqa: S606
