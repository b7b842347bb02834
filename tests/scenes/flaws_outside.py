"""What can be wrong around a .blend, for flaws.py: files it needs that are not there, and files it does not need."""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any

import bpy


def missing_image(scene: Any, _: str) -> None:
    _show(_image("//textures/not-there.png"))


def absolute_image(scene: Any, _: str) -> None:
    _show(_image("/home/artist/wood.png"))


def windows_image(scene: Any, _: str) -> None:
    _show(_image("C:\\Users\\artist\\wood.png"))


def unlinked_image(scene: Any, _: str) -> None:
    """In a node that leads nowhere."""
    _show(_image("//textures/not-there.png"), linked=False)


def dead_end_image(scene: Any, _: str) -> None:
    """In a node linked to another one that leads nowhere."""
    tree = bpy.data.materials["paint"].node_tree
    node = _node(_image("//textures/not-there.png"))
    curve = tree.nodes.new("ShaderNodeRGBCurve")
    tree.links.new(node.outputs["Color"], curve.inputs["Color"])


def brush_image(scene: Any, _: str) -> None:
    brush = bpy.data.brushes.new("brush", mode="TEXTURE_PAINT")
    texture = bpy.data.textures.new("bristles", "IMAGE")
    texture.image = _image("//textures/bristles.png")
    brush.texture, brush.use_fake_user = texture, True


def packed_image(scene: Any, folder: str) -> None:
    """The file it came from is gone, its content is not."""
    image = _image("//textures/not-there.png")
    picture = _png(4)
    image.pack(data=picture, data_len=len(picture))
    _show(image)


def present_image(scene: Any, folder: str) -> None:
    _write(f"{folder}/textures/wood.png")
    _show(_image("//textures/wood.png"))


def missing_tile(scene: Any, folder: str) -> None:
    """The second of two UDIM tiles."""
    _write(f"{folder}/textures/tile.1001.png")
    image = _image("//textures/tile.<UDIM>.png", "TILED")
    image.tiles.new(1002)
    _show(image)


def missing_sequence(scene: Any, folder: str) -> None:
    """The pictures for frames 1 to 3 and 6 to 8 of 8."""
    for frame in (1, 2, 3, 6, 7, 8):
        _write(f"{folder}/textures/walk_{frame:04d}.png")
    image = _image("//textures/walk_0001.png", "SEQUENCE")
    user = _show(image).image_user
    user.frame_duration, user.frame_start, user.use_auto_refresh = 8, 1, True


def missing_library(scene: Any, folder: str) -> None:
    _linked(scene, folder)
    os.unlink(f"{folder}/props.blend")


def missing_linked(scene: Any, folder: str) -> None:
    """The library is there, and what was linked from it is not in it any more."""
    _linked(scene, folder)
    bpy.data.libraries.write(f"{folder}/props.blend", {bpy.data.materials["paint"]}, fake_user=True)


def missing_font(scene: Any, folder: str) -> None:
    _write(f"{folder}/letters.ttf", _some_font())
    words = bpy.data.curves.new("words", "FONT")
    words.body, words.font = "Framelend", bpy.data.fonts.load(f"{folder}/letters.ttf")
    words.font.filepath = "//letters.ttf"
    scene.collection.objects.link(bpy.data.objects.new("words", words))
    os.unlink(f"{folder}/letters.ttf")


def missing_cache(scene: Any, _: str) -> None:
    modifier = bpy.data.objects["plane"].modifiers.new("cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath = "MDD", "//caches/plane.mdd"


def missing_volume(scene: Any, _: str) -> None:
    volume = bpy.data.volumes.new("smoke")
    volume.filepath = "//caches/smoke.vdb"
    scene.collection.objects.link(bpy.data.objects.new("smoke", volume))


def missing_strip(scene: Any, _: str) -> None:
    editor = scene.sequence_editor_create() or scene.sequence_editor
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_image(name="title", filepath="//textures/title.png", channel=1, frame_start=1)


def missing_sound(scene: Any, _: str) -> None:
    speaker = bpy.data.speakers.new("speaker")
    scene.collection.objects.link(bpy.data.objects.new("speaker", speaker))
    if bpy.app.build_options.audaspace:
        speaker.sound = bpy.data.sounds.load("//song.wav")


def _image(path: str, source: str = "FILE") -> Any:
    image = bpy.data.images.new(os.path.basename(path.replace("\\", "/")), 4, 4, tiled=source == "TILED")
    image.source, image.filepath_raw = source, path
    return image


def _node(image: Any) -> Any:
    node = bpy.data.materials["paint"].node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    return node


def _show(image: Any, linked: bool = True) -> Any:
    node, tree = _node(image), bpy.data.materials["paint"].node_tree
    if linked:
        tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    return node


def _linked(scene: Any, folder: str) -> None:
    library = f"{folder}/props.blend"
    chair = bpy.data.objects.new("chair", bpy.data.meshes.new("chair"))
    bpy.data.libraries.write(library, {chair}, fake_user=True)
    bpy.data.objects.remove(chair)
    with bpy.data.libraries.load(library, link=True) as (_, wanted):
        wanted.objects = ["chair"]
    scene.collection.objects.link(bpy.data.objects["chair"])
    bpy.data.libraries[0].filepath = "//props.blend"


def _some_font() -> bytes:
    folder = os.path.join(bpy.utils.system_resource("DATAFILES"), "fonts")
    with open(os.path.join(folder, "DejaVuSansMono.woff2"), "rb") as file:
        return file.read()


def _write(path: str, content: bytes | None = None) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content or _png(4))


def _png(side: int) -> bytes:
    rows = zlib.compress((b"\0" + b"\x80\x40\x20" * side) * side)
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _part(b"IHDR", head) + _part(b"IDAT", rows) + _part(b"IEND", b"")


def _part(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


FLAWS: dict[str, Any] = {
    make.__name__: make
    for make in (
        *(missing_image, absolute_image, windows_image, unlinked_image, dead_end_image, brush_image, packed_image),
        *(present_image, missing_tile, missing_sequence, missing_library, missing_linked, missing_font, missing_cache),
        *(missing_volume, missing_strip, missing_sound),
    )
}
