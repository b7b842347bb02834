"""What a picture needs beside its .blend, looked at before it is rendered.

Blender renders a missing texture magenta and leaves a missing object out, and calls both success. The farm's inspection refuses
such a file before anybody pays; this holds where inspection cannot look: one picture of a sequence, a file that is no picture.
"""

from __future__ import annotations

import os
import re
from typing import Any

from task import INSIDE

NAMED = 3  # files that a complaint names
LAST_NUMBER = re.compile(r"(\d+)(?=\D*$)")


class Lacking(Exception):
    """`code` is `missing_file` or `unreadable_file`; the text names the first few."""

    def __init__(self, code: str, files: list[str]) -> None:
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        super().__init__(", ".join(files[:NAMED]) + more)
        self.code = code


class Needs:
    """Of one scene: `check()` once, `check_frame()` when the scene stands at a frame."""

    def __init__(self, bpy: Any, scene: Any) -> None:
        from survey_files import Files  # not before bpy: OpenImageIO comes with it

        self._bpy = bpy
        files = Files(bpy, scene)
        self._listed = [file for file in files.listed() if file["used"] and not file["packed"]]
        self._sequences = files.sequences()
        self._volumes = [volume for volume in bpy.data.volumes if volume.is_sequence and files.is_used(volume)]

    def check(self) -> None:
        """By the rule of the inspection: what can change the picture and is not in the bundle. Raises Lacking."""
        missing = [_named(file) for file in self._listed if not (file["exists"] and file["inside"])]
        if missing:
            raise Lacking("missing_file", missing)
        damaged = [_named(file) for file in self._listed if _is_no_picture(file)]
        if damaged:
            raise Lacking("unreadable_file", damaged)

    def check_frame(self, frame: int) -> None:
        """The pictures and volumes of sequences at this frame. Raises Lacking."""
        missing = []
        for image, user in self._sequences:
            path = picture_path(self._bpy.path.abspath(image.filepath, library=image.library), sequence_number(user, frame))
            if not os.path.isfile(path):
                missing.append(f"image {_inside(path)}")
        for volume in self._volumes:
            if not volume.grids.load():
                missing.append(f"volume {volume.grids.error_message}"[:120])
        if missing:
            raise Lacking("missing_file", list(dict.fromkeys(missing)))


def sequence_number(user: Any, frame: int) -> int:
    """Which picture of its sequence an image user shows: Blender's own rule (blenkernel, image.cc, BKE_image_user_frame_get)."""
    length = user.frame_duration
    if not length:
        return 0
    at = frame - user.frame_start + 1
    if user.use_cyclic:
        at = at % length or length
    return int(min(max(at, 0), length) + user.frame_offset)


def picture_path(path: str, number: int) -> str:
    """Of a sequence, by its number."""
    folder, name = os.path.split(path)
    return os.path.join(folder, LAST_NUMBER.sub(lambda found: str(number).zfill(len(found.group())), name, count=1))


def _is_no_picture(file: dict[str, Any]) -> bool:
    """Cycles reads pictures with the library that has just failed to read this one's header."""
    return file["kind"] == "image" and file["source"] in ("FILE", "TILED") and not file["width"]


def _named(file: dict[str, Any]) -> str:
    return f"{file['kind']} {str(file['path'])[:80]}"


def _inside(path: str) -> str:
    return path.replace(f"{INSIDE}/bundle/", "", 1)[-100:]
