"""Pictures until the end of stdin, then one contact sheet."""

from PIL import Image

from services.storage.confined import walls
from services.storage.confined.pipes import answer, parts
from services.storage.confined.sheet import sheet

SECONDS = 60


def main(memory_bytes: int) -> None:
    Image.preinit()
    walls.confine(memory_bytes=memory_bytes)
    walls.allow_seconds(SECONDS)
    answer({"ok": True}, sheet(parts()))
