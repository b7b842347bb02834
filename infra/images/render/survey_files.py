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
from task import INSIDE

PACKED_LIMIT = 128 * 1024 * 1024  # the tmpfs has 256 MiB
BYTES_PER_PIXEL = {"uint8": 4, "uint16": 8, "half": 8, "float": 16}  # as Cycles keeps them, always four channels
OUTSIDE = ("", "<builtin>", "<memory>")


class Files:
    """Walks the file's data once. `image_bytes` counts what the picture can need, decoded."""

    def __init__(self, bpy: Any, scene: Any) -> None:
        self._bpy = bpy
        self._users = bpy.data.user_map()
        self._used = _reachable(self._users, scene)
        self._known: set[str] = set()
        self.image_bytes = 0
        self.packed_bytes = 0

    def is_used(self, block: Any) -> bool:
        """Whether something rendered holds it."""
        return block in self._used

    def sequences(self) -> list[tuple[Any, Any]]:
        """Image sequences that shaders show, each with the image user that says which picture."""
        found = []
        for owner, tree in node_trees(self._bpy):
            for node in tree.nodes if owner in self._used else ():
                image, user = getattr(node, "image", None), getattr(node, "image_user", None)
                if image is None or user is None or image.source != "SEQUENCE" or not _linked(node):
                    continue
                if not any(part.packed_file for part in image.packed_files):
                    found.append((image, user))
        return found

    def listed(self) -> list[dict[str, Any]]:
        """One entry per file, what is missing and matters first."""
        found = [*self._images(), *self._blocks(), *self._modifiers(), *self._light_profiles()]
        found += self._others()
        return sorted(found, key=lambda file: (not (file["used"] and not file["exists"]), file["exists"]))

    def _images(self) -> list[dict[str, Any]]:
        wanted = (image for image in self._bpy.data.images if image.source in ("FILE", "SEQUENCE", "MOVIE", "TILED"))
        return [self._image(image) for image in wanted]

    def _image(self, image: Any) -> dict[str, Any]:
        used = image in self._used and self._shown(image)
        file = self._file("image", image, image.filepath_raw, image.source, used)
        packed = [part.packed_file for part in image.packed_files if part.packed_file]
        sizes = [_packed_size(part.data) for part in packed]
        self.packed_bytes += sum(part.size for part in packed)
        if not packed and image.source != "MOVIE":
            paths = _tiles(file.pop("_path"), image.source)
            sizes = [_size(path) for path in paths]
            file["exists"] = bool(paths)
        width, height, _ = max(sizes, default=(0, 0, 0))
        self.image_bytes += sum(size[2] for size in sizes) if used else 0
        return _clean(file) | {"packed": bool(packed), "exists": file["exists"] or bool(packed)} | _pair(width, height)

    def _shown(self, image: Any) -> bool:
        """False when every rendered thing that holds the image does so by an unlinked node or as a camera's backdrop."""
        return any(_shows(user, image) for user in self._users.get(image, ()) if user in self._used)

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
                    used = owner in self._used and _linked(node)
                    found.append(_clean(self._file("light profile", owner, node.filepath, "FILE", used)))
        return found

    def _others(self) -> list[dict[str, Any]]:
        """What Blender itself lists and no kind above covers."""
        rest = [path for path in self._bpy.utils.blend_paths(absolute=True) if _resolved(path) not in self._known]
        found = [self._file("other", None, path, "FILE", False) for path in rest]
        return [_clean(file) for file in found if not file["exists"]]

    def _file(self, kind: str, block: Any, path: str, source: str, used: bool) -> dict[str, Any]:
        library = block.library if block is not None else None
        full = _resolved(self._bpy.path.abspath(path, library=library))
        self._known.add(full)
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


def node_trees(bpy: Any) -> list[tuple[Any, Any]]:
    """Every node tree with the data-block that owns it (a node group owns itself)."""
    data = bpy.data
    owners = [*data.materials, *data.worlds, *data.lights, *data.linestyles, *data.textures]
    trees = [(owner, owner.node_tree) for owner in owners if getattr(owner, "node_tree", None)]
    return trees + [(group, group) for group in data.node_groups]


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


def _shows(user: Any, image: Any) -> bool:
    if user.id_type == "CAMERA":
        return False
    tree = user if user.id_type == "NODETREE" else getattr(user, "node_tree", None)
    if tree is None:
        return True
    nodes = [node for node in tree.nodes if getattr(node, "image", None) == image]
    return not nodes or any(_linked(node) for node in nodes)


def _linked(node: Any) -> bool:
    return not node.mute and any(output.is_linked for output in node.outputs)


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


def _packed_size(content: bytes) -> tuple[int, int, int]:
    if len(content) > PACKED_LIMIT:
        return 0, 0, len(content)
    path = "/tmp/packed"  # the container's own tmpfs
    with open(path, "wb") as file:
        file.write(content)
    try:
        return _size(path)
    finally:
        os.unlink(path)
