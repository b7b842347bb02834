"""Makes the .blend files that fail in ways the other tests have no need of. Runs inside the render image, beside build.py:
`python3 broken_scenes.py OUTDIR`."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

import bpy

import build


def missing_library(folder: str) -> None:
    scene = build.ok_small()
    library = f"{folder}/props.blend"
    chair = bpy.data.objects.new("chair", bpy.data.meshes.new("chair"))
    bpy.data.libraries.write(library, {chair}, fake_user=True)
    bpy.data.objects.remove(chair)
    with bpy.data.libraries.load(library, link=True, relative=False) as (_, wanted):
        wanted.objects = ["chair"]
    scene.collection.objects.link(bpy.data.objects["chair"])
    bpy.data.libraries[0].filepath = "//props.blend"
    os.unlink(library)


def missing_volume(_: str) -> None:
    scene = build.ok_small()
    volume = bpy.data.volumes.new("smoke")
    volume.filepath = "//caches/smoke.vdb"
    scene.collection.objects.link(bpy.data.objects.new("smoke", volume))


def missing_tiles(_: str) -> None:
    build.ok_small()
    build._texture("orange", "//textures/gone.<UDIM>.png")
    bpy.data.images["gone.<UDIM>.png"].source = "TILED"


def missing_sequence_frame(folder: str) -> None:
    """Pictures for frames 1 and 3 of 3."""
    build.ok_small()
    build._stripes(f"{folder}/textures", 16)
    for frame in (1, 3):
        shutil.copy(f"{folder}/textures/stripes.png", f"{folder}/textures/walk_{frame:04d}.png")
    build._texture("orange", "//textures/walk_0001.png")
    image = bpy.data.images["walk_0001.png"]
    image.source = "SEQUENCE"
    node = next(node for node in bpy.data.materials["orange"].node_tree.nodes if getattr(node, "image", None) == image)
    node.image_user.frame_duration, node.image_user.frame_start, node.image_user.use_auto_refresh = 3, 1, True


def unreadable_texture(folder: str) -> None:
    build.ok_small()
    build._texture("orange", "//textures/stripes.png")
    os.makedirs(f"{folder}/textures", exist_ok=True)
    with open(f"{folder}/textures/stripes.png", "wb") as file:
        file.write(b"this is no picture\n" * 40)


def compositor_without_output(_: str) -> None:
    scene = build.ok_small()
    group = bpy.data.node_groups.new("finish", "CompositorNodeTree")
    scene.compositing_node_group = group
    group.nodes.new("CompositorNodeOutputFile").directory = "/tmp/elsewhere"


def unknown_engine(_: str) -> None:
    class Elsewhere(bpy.types.RenderEngine):
        bl_idname, bl_label = "LUXCORE", "Elsewhere"

    bpy.utils.register_class(Elsewhere)
    build.ok_small().render.engine = "LUXCORE"


def card_in_the_file(_: str) -> None:
    build.ok_small().cycles.device = "GPU"


SCENES: dict[str, Any] = {
    make.__name__: make
    for make in (
        *(missing_library, missing_volume, missing_tiles, missing_sequence_frame, unreadable_texture),
        *(compositor_without_output, card_in_the_file, unknown_engine),
    )
}


def main(folder: str) -> None:
    """Writes `FOLDER/<name>/scene.blend`: each folder is a bundle as it is."""
    os.umask(0)
    for name, make in SCENES.items():
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        make(f"{folder}/{name}")
        build._save(f"{folder}/{name}")


if __name__ == "__main__":
    main(sys.argv[1])
