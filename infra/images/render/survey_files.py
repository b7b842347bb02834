"""Which files a .blend needs beside itself, which of them are missing, and whether that can change the picture.

A missing texture renders magenta and Blender calls it success, so it must be said before anyone pays; a missing file that
nothing rendered refers to is no reason to bother a renter.
"""

from __future__ import annotations

import glob
import os
import re
from typing import Any

import OpenImageIO as oiio  # comes with bpy
from survey_nodes import Shown, node_trees
from task import INSIDE

PACKED_LIMIT = 128 * 1024 * 1024  # the tmpfs has 256 MiB
BYTES_PER_PIXEL = {"uint8": 4, "uint16": 8, "half": 8, "float": 16}  # as Cycles keeps them, always four channels
OUTSIDE = ("", "<builtin>", "<memory>")
STRIP_PICTURES = 2_000
DRIVE = re.compile("^([A-Za-z]):(?=/)")  # Blender itself looks for C:/wood.png at /c/wood.png


class Files:
    """Walks the file's data once. `image_bytes` counts what the picture can need, decoded."""

    def __init__(self, bpy: Any, scene: Any) -> None:
        self._bpy = bpy
        self._scene = scene
        self._users = bpy.data.user_map()
        self._used = _reachable(self._users, scene)
        self._shown_nodes = Shown()
        self._known: set[str] = set()
        self.image_bytes = 0
        self.packed_bytes = 0

    def is_used(self, block: Any) -> bool:
        """Whether something rendered holds it."""
        return block in self._used

    def used(self) -> list[Any]:
        """Everything that something rendered holds, by name."""
        return sorted(self._used, key=lambda block: (block.id_type, block.name_full))

    def sequences(self) -> list[tuple[Any, Any]]:
        """Image sequences that shaders show, each with the image user that says which picture."""
        found = []
        for owner, tree in node_trees(self._bpy):
            for node in tree.nodes if owner in self._used else ():
                image, user = getattr(node, "image", None), getattr(node, "image_user", None)
                if image is None or user is None or image.source != "SEQUENCE" or not self._shown_nodes.has(tree, node):
                    continue
                if not _packed(image):
                    found.append((image, user))
        return found

    def listed(self) -> list[dict[str, Any]]:
        """One entry per file, what is missing and matters first."""
        found = [*self._images(), *self._blocks(), *self._modifiers(), *self._light_profiles(), *self._strips()]
        found += self._others()
        return sorted(found, key=lambda file: (not (file["used"] and not file["exists"]), file["exists"]))

    def _images(self) -> list[dict[str, Any]]:
        self.packed_bytes += sum(part.size for image in self._bpy.data.images for part in _packed(image))
        wanted = (image for image in self._bpy.data.images if image.source in ("FILE", "SEQUENCE", "MOVIE", "TILED"))
        return [file for image in wanted for file in (self._image(image), *self._lost_tiles(image))]

    def _image(self, image: Any) -> dict[str, Any]:
        used = image in self._used and self._shown(image)
        file = self._file("image", image, image.filepath_raw, image.source, used)
        packed = _packed(image)
        sizes = [_packed_size(part) for part in packed]
        if not packed and image.source != "MOVIE":
            paths = _tiles(file.pop("_path"), image.source)
            sizes = [_size(path) for path in paths]
            file["exists"] = bool(paths)
        width, height, _ = max(sizes, default=(0, 0, 0))
        self.image_bytes += sum(size[2] for size in sizes) if used else 0
        return _clean(file) | {"packed": bool(packed), "exists": file["exists"] or bool(packed)} | _pair(width, height)

    def _lost_tiles(self, image: Any) -> list[dict[str, Any]]:
        """Of an image of which only some tiles are there."""
        if image.source != "TILED" or _packed(image):
            return []
        folder, used = image.filepath_raw, image in self._used and self._shown(image)
        if not _tiles(self._bpy.path.abspath(folder, library=image.library), "TILED"):
            return []  # said once, of the image itself
        paths = (folder.replace("<UDIM>", str(tile.number)) for tile in image.tiles)
        found = [self._file("tile", image, path, "TILED", used) for path in paths if "<UVTILE>" not in path]
        return [_clean(file) for file in found if not file["exists"]]

    def _shown(self, image: Any) -> bool:
        """False when every rendered thing that holds the image does so by an unlinked node or as a camera's backdrop."""
        return any(self._shows(user, image) for user in self._users.get(image, ()) if user in self._used)

    def _shows(self, user: Any, image: Any) -> bool:
        if user.id_type == "CAMERA":
            return False
        tree = user if user.id_type == "NODETREE" else getattr(user, "node_tree", None)
        if tree is None:
            return True
        nodes = [node for node in tree.nodes if getattr(node, "image", None) == image]
        return not nodes or any(self._shown_nodes.has(tree, node) for node in nodes)

    def _blocks(self) -> list[dict[str, Any]]:
        data = self._bpy.data
        found = []
        for kind, blocks in (("font", data.fonts), ("movieclip", data.movieclips), ("volume", data.volumes)):
            found += [self._block(kind, block, block in self._used) for block in blocks]
        found += [self._block("cache", block, block in self._used) for block in data.cache_files]
        found += [self._block("sound", block, False) for block in data.sounds]
        linked = {block.library for block in self._used if block.library}
        found += [self._block("library", block, block in linked) for block in data.libraries]
        return [file for file in found if file["path"] not in OUTSIDE]

    def _block(self, kind: str, block: Any, used: bool) -> dict[str, Any]:
        packed = getattr(block, "packed_file", None)
        file = self._file(kind, block, block.filepath, "FILE", used)
        if packed is not None:
            self.packed_bytes += packed.size
        return _clean(file) | {"packed": packed is not None, "exists": file["exists"] or packed is not None}

    def _modifiers(self) -> list[dict[str, Any]]:
        found = []
        for thing in self._bpy.data.objects:
            for modifier in thing.modifiers:
                path = getattr(modifier, "filepath", "") if modifier.type in ("MESH_CACHE", "OCEAN") else ""
                if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
                    baked = modifier.domain_settings.has_cache_baked_data  # else there is no cache to miss
                    path = modifier.domain_settings.cache_directory if baked else ""
                if path:
                    found.append(_clean(self._file("cache", thing, path, "FILE", thing in self._used)))
        return found

    def _light_profiles(self) -> list[dict[str, Any]]:
        found = []
        for owner, tree in node_trees(self._bpy):
            for node in tree.nodes:
                if node.bl_idname == "ShaderNodeTexIES" and node.mode == "EXTERNAL" and node.filepath:
                    used = owner in self._used and self._shown_nodes.has(tree, node)
                    found.append(_clean(self._file("light profile", owner, node.filepath, "FILE", used)))
        return found

    def _strips(self) -> list[dict[str, Any]]:
        """What the video sequencer shows; it matters only where strips are rendered instead of the scene."""
        editor, on = self._scene.sequence_editor, renders_strips(self._scene)
        found = []
        for strip in editor.strips_all if editor else ():
            used = on and not strip.mute
            found += [_clean(self._file("strip", None, path, "FILE", used)) for path in _strip_paths(strip)]
        return [file for file in found if not file["exists"]]

    def _others(self) -> list[dict[str, Any]]:
        """What Blender itself lists and no kind above covers."""
        rest = [path for path in self._bpy.utils.blend_paths(absolute=True) if _resolved(path) not in self._known]
        found = [self._file("other", None, path, "FILE", False) for path in rest]
        return [_clean(file) for file in found if not file["exists"]]

    def _file(self, kind: str, block: Any, path: str, source: str, used: bool) -> dict[str, Any]:
        library = block.library if block is not None else None
        full = _resolved(self._bpy.path.abspath(path, library=library))
        self._known |= {full, DRIVE.sub(lambda drive: f"/{drive[1].lower()}", path.replace("\\", "/"))}
        return {
            "kind": kind,
            "name": block.name if block is not None else os.path.basename(path),
            "path": path,
            "absolute": not path.startswith("//"),
            "inside": full.startswith(f"{INSIDE}/"),
            "exists": os.path.exists(full),
            "packed": False,
            "used": used,
            "source": source,
            "bytes": os.path.getsize(full) if os.path.isfile(full) else 0,
            **_pair(0, 0),
            "_path": full,
        }


def _reachable(users: dict[Any, set[Any]], scene: Any) -> set[Any]:
    """Data-blocks that something rendered holds. Too many rather than too few: a modifier's target counts as rendered."""
    holds: dict[Any, list[Any]] = {}
    for block, holders in users.items():
        for holder in holders:
            holds.setdefault(holder, []).append(block)
    seen: set[Any] = set()
    waiting = [thing for thing in scene.objects if not thing.hide_render]
    waiting += [block for block in (scene.world, scene.compositing_node_group, scene.camera) if block]
    while waiting:
        block = waiting.pop()
        if block not in seen and block.id_type != "SCENE":
            seen.add(block)
            waiting += holds.get(block, [])
    return seen


def renders_strips(scene: Any) -> bool:
    """Blender's own rule (render/intern/pipeline.cc, RE_seq_render_active): any strip but sound, not muted."""
    editor = scene.sequence_editor
    if not (scene.render.use_sequencer and editor):
        return False
    return any(strip.type != "SOUND" and not strip.mute for strip in editor.strips)


def _strip_paths(strip: Any) -> list[str]:
    if strip.type == "MOVIE":
        return [strip.filepath]
    if strip.type == "IMAGE":
        return [os.path.join(strip.directory, element.filename) for element in strip.elements[:STRIP_PICTURES]]
    return []


def _packed(image: Any) -> list[Any]:
    return [part.packed_file for part in image.packed_files if part.packed_file]


def _resolved(path: str) -> str:
    return os.path.realpath(path)


def _clean(file: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in file.items() if name != "_path"}


def _pair(width: int, height: int) -> dict[str, int]:
    return {"width": width, "height": height}


def _tiles(path: str, source: str) -> list[str]:
    """The files behind one image: itself, its UDIM tiles, or one frame of its sequence."""
    if source == "TILED":
        return sorted(glob.glob(glob.escape(path).replace("<UDIM>", "[0-9]" * 4).replace("[<]UDIM>", "[0-9]" * 4)))
    if os.path.isfile(path) or source != "SEQUENCE":
        return [path] if os.path.isfile(path) else []
    folder, name = os.path.split(path)
    pattern = re.compile(re.sub(r"\d+(?=\D*$)", "@", name, count=1).replace(".", r"\.").replace("@", r"\d+"))
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in sorted(names) if pattern.fullmatch(name)][:1]


def _size(path: str) -> tuple[int, int, int]:
    """Width, height and decoded bytes from the header alone: a bomb is named, never opened."""
    source = oiio.ImageInput.open(path)
    if source is None:
        oiio.geterror()
        return 0, 0, 0
    spec = source.spec()
    size = spec.width, spec.height, spec.width * spec.height * BYTES_PER_PIXEL.get(str(spec.format), 16)
    source.close()
    return size


def _packed_size(part: Any) -> tuple[int, int, int]:
    if part.size > PACKED_LIMIT:
        return 0, 0, part.size
    path = "/tmp/packed"  # the container's own tmpfs
    with open(path, "wb") as file:
        file.write(part.data)
    try:
        return _size(path)
    finally:
        os.unlink(path)
