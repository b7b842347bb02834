"""What moves in a scene from frame to frame: simulations, whose frames depend on the frames before them, and keys."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import Any

BODIES = ("CLOTH", "SOFT_BODY")


def unbaked_simulations(scene: Any, used: list[Any]) -> list[dict[str, Any]]:
    """Simulations without a bake: another machine that starts in the middle would render something else."""
    return [{"object": name, "kind": kind} for name, kind, _ in _unbaked(scene, used)]


def simulated_from(scene: Any, used: list[Any]) -> int | None:
    """First frame of the earliest simulation without a bake."""
    return min((first for _, _, first in _unbaked(scene, used)), default=None)


def last_key(bpy: Any, scene: Any, used: list[Any]) -> int | None:
    """The last frame with a key, where keys are all that moves the scene; else None."""
    if any(block.animation_data and block.animation_data.drivers for block in used if hasattr(block, "animation_data")):
        return None
    moving = any(image.source in ("SEQUENCE", "MOVIE") for image in bpy.data.images)
    if moving or _unbaked(scene, used) or bpy.data.cache_files or bpy.data.volumes or bpy.data.node_groups:
        return None
    ends = [_action_end(block) for block in used if getattr(block, "animation_data", None)]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _action_end(block: Any) -> int | None:
    data = block.animation_data
    if data.nla_tracks or data.action is None or any(curve.modifiers for curve in _curves(data.action)):
        return None
    return int(data.action.frame_range[1])


def _curves(action: Any) -> Iterator[Any]:
    for layer in action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                yield from bag.fcurves


def _unbaked(scene: Any, used: list[Any]) -> list[tuple[str, str, int]]:
    """(object, kind, first frame)."""
    found = []
    for thing in used:
        if thing.id_type == "OBJECT" and not thing.hide_render:
            found += [(thing.name, *one) for one in (*_modifiers(thing, scene), *_particles(thing))]
    world = scene.rigidbody_world
    if world and world.enabled and not world.point_cache.is_baked and _falls(world):
        found.append((scene.name, "RIGID_BODY", world.point_cache.frame_start))
    return found


def _falls(world: Any) -> bool:
    things = world.collection.objects if world.collection else ()
    return any(thing.rigid_body and thing.rigid_body.type == "ACTIVE" for thing in things)


def _modifiers(thing: Any, scene: Any) -> Iterator[tuple[str, int]]:
    for modifier in thing.modifiers:
        kind, first = modifier.type, scene.frame_start
        if not modifier.show_render:
            continue
        if kind in BODIES and not modifier.point_cache.is_baked:
            yield kind, modifier.point_cache.frame_start
        elif kind == "FLUID" and modifier.fluid_type == "DOMAIN" and not modifier.domain_settings.has_cache_baked_data:
            yield kind, modifier.domain_settings.cache_frame_start
        elif kind == "DYNAMIC_PAINT" and modifier.canvas_settings and _paints(modifier.canvas_settings):
            yield kind, first
        elif kind == "NODES" and modifier.node_group and _simulates(modifier.node_group, set()) and not _is_baked(modifier):
            yield "SIMULATION_NODES", first


def _paints(canvas: Any) -> bool:
    return any(surface.is_active and not surface.point_cache.is_baked for surface in canvas.canvas_surfaces)


def _simulates(group: Any, seen: set[str]) -> bool:
    if group.name_full in seen:
        return False
    seen.add(group.name_full)
    inner = (node.node_tree for node in group.nodes if getattr(node, "node_tree", None))
    return any(node.bl_idname == "GeometryNodeSimulationOutput" for node in group.nodes) or any(
        _simulates(tree, seen) for tree in inner
    )


def _is_baked(modifier: Any) -> bool:
    return bool(modifier.bakes) and all(_has_bake(modifier, bake) for bake in modifier.bakes)


class _Bake(ctypes.Structure):
    """Blender 5.0's NodesModifierBake (DNA_modifier_types.h): whether a bake is packed is not told to Python."""

    _fields_ = (
        ("id", ctypes.c_int), ("flag", ctypes.c_uint32), ("mode", ctypes.c_uint8), ("target", ctypes.c_int8),
        ("_", ctypes.c_char * 6), ("directory", ctypes.c_void_p), ("first", ctypes.c_int), ("last", ctypes.c_int),
        ("blocks", ctypes.c_int), ("active", ctypes.c_int), ("block", ctypes.c_void_p), ("packed", ctypes.c_void_p),
    )  # fmt: skip


def _has_bake(modifier: Any, bake: Any) -> bool:
    inside = _Bake.from_address(bake.as_pointer())
    known = (inside.id, inside.first, inside.last) == (bake.bake_id, bake.frame_start, bake.frame_end)
    if known and inside.packed:
        return True
    folder = bake.directory if bake.use_custom_path else os.path.join(modifier.bake_directory, str(bake.bake_id))
    return bool(folder) and os.path.isdir(_absolute(folder, modifier.id_data))


def _absolute(path: str, thing: Any) -> str:
    import bpy

    return str(bpy.path.abspath(path, library=thing.library))


def _particles(thing: Any) -> Iterator[tuple[str, int]]:
    """Hair that swings. (Particles that fly are run from their start on by Blender itself, whatever frame is asked for.)"""
    shown = {modifier.particle_system.name for modifier in thing.modifiers if _is_shown_system(modifier)}
    for system in thing.particle_systems:
        if system.name in shown and system.use_hair_dynamics and not system.point_cache.is_baked:
            yield "HAIR", system.point_cache.frame_start


def _is_shown_system(modifier: Any) -> bool:
    return modifier.type == "PARTICLE_SYSTEM" and modifier.show_render and modifier.particle_system is not None
