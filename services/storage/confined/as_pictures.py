"""For ever, one picture after another."""

import json

from PIL import Image, WebPImagePlugin  # noqa: F401  # loaded now: behind the walls our own files may be out of reach

from services.storage.confined import walls
from services.storage.confined.pictures import look
from services.storage.confined.pipes import answer, parts
from services.storage.domain.png import NotThePicture


def main(memory_bytes: int) -> None:
    Image.preinit()
    walls.confine(memory_bytes=memory_bytes)
    questions = parts()
    for asked in questions:
        wanted, data = json.loads(asked), next(questions)
        walls.allow_seconds(wanted["seconds"])
        try:
            seen = look(data, wanted["width"], wanted["height"], wanted["bits"])
        except NotThePicture as no:
            answer({"ok": False, "code": no.code, "text": no.text})
        else:
            answer({"ok": True, "pixel_sha256": seen.pixel_sha256}, seen.thumbnail)
