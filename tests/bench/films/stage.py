"""What the films are made of: a bare stage, things to put on it, and values that change over the timeline. Runs inside the
render image, where the folder is all there is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import bpy

FRAMES = 220
WIDTH, HEIGHT, SAMPLES = 112, 63, 5
STEP = 3
"""A keyframe every so many frames."""
Value = Callable[[float], Any]
"""Of the place on the timeline, from 0 to 1."""


def stage(samples: int = SAMPLES, sky: float = 0.6) -> Any:
    """An empty scene with a floor, a sky and a sun."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = samples, False, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.fps, scene.frame_start, scene.frame_end = 24, 1, FRAMES
    scene.world = bpy.data.worlds.new("sky")
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.3, 0.45, 0.75, 1)
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = sky
    bpy.ops.mesh.primitive_plane_add(size=60)
    bpy.context.object.data.materials.append(paint("floor", (0.4, 0.4, 0.42)))
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 2.5, (0.7, 0.2, 0.4)
    scene.collection.objects.link(sun)
    return scene


def camera(scene: Any, at: Any = (0.0, -7.0, 2.5), look: Any = (0.0, 0.0, 0.8), name: str = "camera") -> Any:
    """Both may be values that change over the timeline."""
    eye = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    aim = bpy.data.objects.new(f"{name} aim", None)
    for thing, where in ((eye, at), (aim, look)):
        scene.collection.objects.link(thing)
        if callable(where):
            over(thing, "location", where)
        else:
            thing.location = where
    track = eye.constraints.new("TRACK_TO")
    track.target, track.track_axis, track.up_axis = aim, "TRACK_NEGATIVE_Z", "UP_Y"
    scene.camera = scene.camera or eye
    return eye


def over(thing: Any, path: str, value: Value, step: int = STEP) -> None:
    """`path` of this thing follows the value."""
    for frame in [*range(1, FRAMES, step), FRAMES]:
        setattr(thing, path, value((frame - 1) / (FRAMES - 1)))
        thing.keyframe_insert(path, frame=frame)


def shown(thing: Any, is_seen: Callable[[float], bool]) -> None:
    """In the picture only while this holds."""
    over(thing, "hide_render", lambda t: not is_seen(t), step=1)


def ball(at: Any, radius: float, material: Any, detail: int = 24) -> Any:
    bpy.ops.mesh.primitive_uv_sphere_add(radius=radius, location=at, segments=detail, ring_count=detail // 2)
    bpy.ops.object.shade_smooth()
    bpy.context.object.data.materials.append(material)
    return bpy.context.object


def box(at: Any, size: Any, material: Any) -> Any:
    bpy.ops.mesh.primitive_cube_add(size=1, location=at)
    bpy.context.object.scale = size
    bpy.context.object.data.materials.append(material)
    return bpy.context.object


def crowd(number: int, spread: float, material: Any, seed: int, radius: float = 0.3) -> list[Any]:
    """Balls on the floor that share one mesh."""
    chance, first = random.Random(seed), ball((0, 0, radius), radius, material)
    found = [first]
    for _ in range(number - 1):
        other = bpy.data.objects.new("one", first.data)
        other.location = (chance.uniform(-spread, spread), chance.uniform(-spread, spread), chance.uniform(radius, 2.0))
        bpy.context.scene.collection.objects.link(other)
        found.append(other)
    return found


def paint(name: str, colour: tuple[float, float, float], rough: float = 0.5, metal: float = 0.0, glass: float = 0.0) -> Any:
    """Also `subsurface` by hand: the inputs of a Principled BSDF."""
    made = bpy.data.materials.new(name)
    inputs = made.node_tree.nodes["Principled BSDF"].inputs
    inputs["Base Color"].default_value, inputs["Roughness"].default_value = (*colour, 1), rough
    inputs["Metallic"].default_value, inputs["Transmission Weight"].default_value = metal, glass
    return made


def glass() -> Any:
    return paint("glass", (0.9, 0.95, 1.0), 0.02, glass=1.0)


def mirror() -> Any:
    return paint("mirror", (0.9, 0.9, 0.9), 0.03, metal=1.0)


def wax() -> Any:
    made = paint("wax", (0.8, 0.5, 0.4))
    made.node_tree.nodes["Principled BSDF"].inputs["Subsurface Weight"].default_value = 1.0
    return made


def fog(density: float = 0.3) -> tuple[Any, Any]:
    """(material, its density input's default as a thing that can be keyed)."""
    made = bpy.data.materials.new("fog")
    tree = made.node_tree
    tree.nodes.remove(tree.nodes["Principled BSDF"])
    volume = tree.nodes.new("ShaderNodeVolumePrincipled")
    volume.inputs["Density"].default_value = density
    tree.links.new(volume.outputs[0], tree.nodes["Material Output"].inputs["Volume"])
    return made, volume.inputs["Density"]


def lamp(scene: Any, at: Any, energy: float = 60.0) -> Any:
    made = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "POINT"))
    made.data.energy, made.location = energy, at
    scene.collection.objects.link(made)
    return made


def wave(t: float, times: float, phase: float = 0.0) -> float:
    """Between 0 and 1."""
    return 0.5 + 0.5 * math.sin(math.tau * (times * t + phase))


def smooth(t: float, begins: float, ends: float) -> float:
    """From 0 to 1 between these two."""
    x = min(1.0, max(0.0, (t - begins) / (ends - begins)))
    return x * x * (3 - 2 * x)
