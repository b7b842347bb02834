"""What a file lacks beyond whole files: pictures of a sequence, things gone from a library, add-ons."""

from __future__ import annotations

import os
import re
from typing import Any

from needs import picture_path, sequence_number
from survey_files import Files
from survey_nodes import Shown, node_trees

LOOKED_AT = 20_000  # frames per sequence
RANGES = 100
ENGINE = re.compile(r"Engine '([\w .-]{1,60})' not available for scene '(.{1,255})' \(")
OURS = {"cycles", "cycles_curves", "cycles_visibility"}  # settings that belong to Blender itself


def sequence_gaps(bpy: Any, scene: Any, files: Files) -> list[dict[str, Any]]:
    """Frames of the scene's own range at which a sequence that is there otherwise has no picture."""
    found = []
    for image, user in files.sequences():
        path = bpy.path.abspath(image.filepath, library=image.library)
        there = set(os.listdir(os.path.dirname(path))) if os.path.isdir(os.path.dirname(path)) else set()
        looked = range(scene.frame_start, min(scene.frame_end, scene.frame_start + LOOKED_AT) + 1)
        names = {frame: os.path.basename(picture_path(path, sequence_number(user, frame))) for frame in looked}
        lost = [frame for frame, name in names.items() if name not in there]
        if lost and any(name in there for name in names.values()):
            found.append({"name": image.filepath, "frames": _ranges(lost)})
    return found


def _ranges(frames: list[int]) -> list[list[int]]:
    """[first, last] of neighbours, the first hundred."""
    found: list[list[int]] = []
    for frame in frames:
        if found and found[-1][1] == frame - 1:
            found[-1][1] = frame
        else:
            found.append([frame, frame])
    return found[:RANGES]


def missing_blocks(bpy: Any, files: Files) -> list[str]:
    """Linked things that rendering would use and that their library, which is there, does not have."""
    gone = {library for library in bpy.data.libraries if not os.path.isfile(bpy.path.abspath(library.filepath))}
    lost = (block for block in files.used() if block.is_missing and block.library not in gone)
    return [f"{block.id_type.lower()} {block.name} of {block.library.filepath}" for block in lost if block.library]


def addons(bpy: Any, files: Files) -> list[str]:
    """What rendering would use and only an add-on can evaluate."""
    shown, found = Shown(), []
    for owner, tree in node_trees(bpy):
        if files.is_used(owner):
            lost = (node for node in tree.nodes if node.bl_idname == "NodeUndefined" and shown.has(tree, node))
            found += [f"node {node.name} of {owner.name}" for node in lost]
    return found


def addon_data(scene: Any) -> list[str]:
    """Add-ons that have left settings in the scene."""
    kept = scene.bl_system_properties_get()
    return [] if kept is None else sorted(set(kept.keys()) - OURS)


def engine_of_addon(said: str, scene: Any) -> str | None:
    """The engine this scene asks for, where Blender has said at opening that it does not have it and taken another."""
    return next((engine for engine, name in ENGINE.findall(said) if name == scene.name), None)
