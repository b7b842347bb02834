"""Makes one small .blend per finding of the inspection: `python3 flaws.py OUTDIR`, with the bpy of Blender 4.2, 4.5 or 5.0.

Each is `clean` with one thing changed. What lies beside a file (pictures, libraries) is made too, where it is meant to exist.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import Any

import bpy
import flaws_inside
import flaws_outside

OLD = bpy.app.version < (5, 0)


def clean() -> Any:
    """64x36, one sample, eight frames: a plane that moves, a light, a camera. Nothing to find."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 1, False, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 36, 100
    scene.frame_start, scene.frame_end = 1, 8
    paint = bpy.data.materials.new("paint")
    paint.use_nodes = True
    bpy.ops.mesh.primitive_plane_add(size=4)
    plane = bpy.context.object
    plane.name = "plane"
    plane.data.materials.append(paint)
    for frame in (1, 8):
        plane.location.x = frame / 8
        plane.keyframe_insert("location", frame=frame)
    for thing in (_sun(), _camera()):
        scene.collection.objects.link(thing)
    scene.camera = bpy.data.objects["camera"]
    return scene


def _sun() -> Any:
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = 3.0
    return sun


def _camera() -> Any:
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location, camera.rotation_euler = (0, -6, 3), (1.1, 0, 0)
    return camera


FLAWS: dict[str, Any] = {"clean": lambda scene, folder: None, **flaws_inside.FLAWS, **flaws_outside.FLAWS}
"""By name: what changes the clean scene, and may leave files in the folder."""


def main(folder: str) -> None:
    """Writes `FOLDER/<name>/scene.blend`: each folder is a bundle as it is."""
    os.umask(0)  # whoever asked for the files is another user outside and must be able to remove them
    for name, change in FLAWS.items():
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        change(clean(), f"{folder}/{name}")
        compress = name in flaws_inside.COMPRESSED
        bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/{name}/scene.blend", compress=compress, relative_remap=False)
    _from_the_future(folder)
    _without_frames(f"{folder}/no_frames/scene.blend")


def _without_frames(path: str) -> None:
    """The range's two numbers stand beside each other in an uncompressed file: in the scene, and in front for file browsers."""
    sought, empty = (struct.pack("<2i", *span) for span in (flaws_inside.SOUGHT, flaws_inside.EMPTY))
    with open(path, "rb") as file:
        whole = file.read()
    assert whole.count(sought) == 2
    with open(path, "wb") as file:
        file.write(whole.replace(sought, empty))


def _from_the_future(folder: str) -> None:
    """`clean`, uncompressed, with another version in its header."""
    os.makedirs(f"{folder}/newer", exist_ok=True)
    clean()
    path = f"{folder}/newer/scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=False, relative_remap=False)
    with open(path, "rb") as file:
        whole = file.read()
    at, version = (9, b"990") if OLD else (13, b"9900")
    with open(path, "wb") as file:
        file.write(whole[:at] + version + whole[at + len(version) :])


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # Blender 4.5 may hang when it tears down classes that were registered here
