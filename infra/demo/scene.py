"""The sample animation of the demo: `python3 scene.py OUTDIR` inside the render image writes scene.blend and its texture.

A field of hexagonal pillars breathes under a low sun while a glass orb floats over it and glass balls pass the camera.
48 frames that loop, 480x270, Cycles with the denoiser. The camera comes close and goes back, so glass fills more or less
of the picture and the cost of a frame varies about twofold along the timeline: that is what a quote has to get right.

Everything moves by drivers with simple expressions, which Blender evaluates without Python: nothing here needs scripts.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from typing import Any

import bpy  # isort: skip  # before the modules that come with it
import bmesh
from mathutils import Matrix
from scene_motion import FRAMES, TURN, move
from scene_shading import (
    Colour,
    colour,
    core_material,
    glass,
    nebula_material,
    pillar_material,
    plain,
    sea_material,
    sky,
    write_palette,
)

RINGS = 8
PITCH = 0.72


def build(folder: str) -> None:
    """Writes the bundle: scene.blend, and beside it the texture it refers to by a relative path."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no scene.blend1 in the bundle
    scene = bpy.context.scene
    os.umask(0)  # whoever asked for the files is another user outside and must be able to remove them
    os.makedirs(f"{folder}/textures", exist_ok=True)
    write_palette(f"{folder}/textures/palette.png")
    bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/scene.blend")  # relative paths need a place to start from
    settings(scene)
    sky(scene)
    field(pillar_material())
    sea()
    hero = orb()
    satellites()
    lights()
    camera(scene, hero)
    bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/scene.blend", compress=True)


def settings(scene: Any) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = 480, 270, 100
    render.fps, scene.frame_start, scene.frame_end = 24, 1, FRAMES
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    cycles.samples, cycles.use_adaptive_sampling, cycles.use_light_tree = 6, False, False
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 12, 2, 3, 10
    cycles.volume_biased, cycles.volume_step_rate, cycles.volume_max_steps = True, 0.15, 192
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 6.0
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.35


def hexes(rings: int) -> Iterator[tuple[float, float]]:
    """Centres of a hexagonal field of hexagons, the middle first."""
    for q in range(-rings, rings + 1):
        for r in range(max(-rings, -q - rings), min(rings, -q + rings) + 1):
            yield PITCH * (q + r / 2), PITCH * r * math.sqrt(3) / 2


def field(material: Any) -> None:
    """Pillars whose heights follow a wave that runs outwards and one that crosses it."""
    mesh = pillar_mesh()
    mesh.materials.append(material)
    for x, y in hexes(RINGS):
        distance = math.hypot(x, y)
        if distance > RINGS * PITCH * 0.9:
            continue
        thing = bpy.data.objects.new("pillar", mesh)
        bpy.context.scene.collection.objects.link(thing)
        thing.location = (x, y, 0)
        rise = 0.34 * math.exp(-((distance / 4.2) ** 2)) + 0.13
        wave = f"{rise:.4f} * sin({1.35 * distance:.4f} - {TURN}) + 0.12 * sin({0.9 * x + 0.5 * y:.4f} + {TURN})"
        move(thing, "location", 2, f"{wave} - {0.035 * distance:.4f}")


def pillar_mesh() -> Any:
    mesh, form = bpy.data.meshes.new("pillar"), bmesh.new()
    bmesh.ops.create_cone(form, cap_ends=True, segments=6, radius1=0.398, radius2=0.398, depth=3.0)
    bmesh.ops.translate(form, verts=form.verts, vec=(0, 0, -1.5))
    bmesh.ops.rotate(form, verts=form.verts, matrix=Matrix.Rotation(math.pi / 6, 3, "Z"))
    top = [edge for edge in form.edges if all(vert.co.z > -0.01 for vert in edge.verts)]
    bmesh.ops.bevel(form, geom=top, offset=0.045, segments=3, profile=0.6, affect="EDGES")
    form.to_mesh(mesh)
    form.free()
    return mesh


def ball(name: str, radius: float, material: Any, at: tuple[float, float, float] = (0, 0, 0)) -> Any:
    mesh, form = bpy.data.meshes.new(name), bmesh.new()
    bmesh.ops.create_uvsphere(form, u_segments=64, v_segments=32, radius=radius)
    return smooth(name, mesh, form, material, at)


def smooth(name: str, mesh: Any, form: Any, material: Any, at: tuple[float, float, float]) -> Any:
    for face in form.faces:
        face.smooth = True
    form.to_mesh(mesh)
    form.free()
    mesh.materials.append(material)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    thing.location = at
    return thing


def ring(name: str, radius: float, tube: float, material: Any) -> Any:
    bpy.ops.mesh.primitive_torus_add(major_radius=radius, minor_radius=tube, major_segments=96, minor_segments=20)
    thing = bpy.context.object
    thing.name = name
    thing.data.materials.append(material)
    thing.data.polygons.foreach_set("use_smooth", [True] * len(thing.data.polygons))
    return thing


def sea() -> None:
    bpy.ops.mesh.primitive_circle_add(vertices=64, radius=400, fill_type="NGON", location=(0, 0, -0.95))
    bpy.context.object.data.materials.append(sea_material())


def orb() -> Any:
    """The hero: a burning core in glass, two golden rings turning around it, each half a turn in the film."""
    centre = bpy.data.objects.new("orb", None)
    bpy.context.scene.collection.objects.link(centre)
    centre.location = (0, 0, 1.68)
    move(centre, "location", 2, f"1.68 + 0.1 * sin({TURN})")
    gold = plain("gold", Base_Color=colour(0xFFC46B), Metallic=1.0, Roughness=0.16)
    shell = ball("shell", 0.95, glass("clear glass", 0xF4FBFF))
    shell.visible_shadow = False  # lets the lamp in the core light the field
    parts = [
        ball("core", 0.3, core_material()),
        shell,
        ball("nebula", 0.9, nebula_material()),
        ring("ring", 1.25, 0.05, gold),
        ring("outer ring", 1.4, 0.03, gold),
        lamp("core light", colour(0xFF9C4A), 160),
    ]
    parts[0].visible_shadow = parts[2].visible_shadow = False
    for part in parts:
        part.parent = centre
    move(parts[3], "rotation_euler", 0, f"1.2 + {TURN} / 2")
    parts[3].rotation_euler[1] = 0.35
    move(parts[4], "rotation_euler", 1, f"0.5 - {TURN} / 2")
    parts[4].rotation_mode, parts[4].rotation_euler[0] = "YXZ", 1.25  # the spin first: half of it maps a ring onto itself
    return centre


def lamp(name: str, tint: Colour, power: float) -> Any:
    light = bpy.data.lights.new(name, "POINT")
    light.energy, light.color, light.shadow_soft_size = power, tint, 0.3
    thing = bpy.data.objects.new(name, light)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def satellites() -> None:
    """Twelve balls in four lanes. Each ends where the next of its kind began, so a third of a turn closes the loop."""
    teal, rose = glass("teal glass", 0xA8F5EA), glass("rose glass", 0xFFC2D4)
    pearl = plain("pearl", Base_Color=colour(0xFFF1E4), Roughness=0.25, Coat_Weight=1.0)
    chrome = plain("chrome", Base_Color=colour(0xE8ECF5), Metallic=1.0, Roughness=0.04)
    lanes = ((teal, 0.42, 2.45, 1.3), (pearl, 0.16, 1.9, 2.3), (rose, 0.36, 2.7, 0.9), (chrome, 0.24, 2.2, 1.9))
    for number in range(12):
        material, size, lane, height = lanes[number % 4]
        around = f"({2 * math.pi * number / 12 + 0.7854:.4f} + {TURN} / 3)"
        thing = ball("satellite", size, material)
        move(thing, "location", 0, f"{lane} * cos{around}")
        move(thing, "location", 1, f"{lane} * sin{around}")
        move(thing, "location", 2, f"{height} + 0.2 * sin({1.7 * (number % 4):.4f} + {TURN})")


def lights() -> None:
    """A warm softbox, a cool rim, and the sun's own light from behind."""
    area("key", (-5.5, -3.5, 6.0), 4.0, colour(0xFFD2A6), 300)
    area("rim", (6.5, 2.0, 4.0), 3.0, colour(0x53D6FF), 420)
    area("back", (0, 8.0, 5.0), 5.0, colour(0xFF5F8F), 500)


def area(name: str, at: tuple[float, float, float], size: float, tint: Colour, power: float) -> None:
    light = bpy.data.lights.new(name, "AREA")
    light.shape, light.size, light.energy, light.color = "DISK", size, power, tint
    thing = bpy.data.objects.new(name, light)
    bpy.context.scene.collection.objects.link(thing)
    thing.location = at
    thing.visible_transmission = False  # no white spots in the glass
    look_at(thing, bpy.data.objects["orb"])


def look_at(thing: Any, target: Any) -> None:
    constraint = thing.constraints.new("TRACK_TO")
    constraint.target, constraint.track_axis, constraint.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"


def camera(scene: Any, hero: Any) -> None:
    """Swings a little around the orb, far and high at the first frame, near and low in the middle."""
    eye = bpy.data.cameras.new("camera")
    eye.lens, eye.dof.use_dof, eye.dof.focus_object, eye.dof.aperture_fstop = 32, True, hero, 0.6
    thing = bpy.data.objects.new("camera", eye)
    scene.collection.objects.link(thing)
    away, angle = f"(6.75 + 2.95 * cos({TURN}))", f"(0.3 * sin({TURN}))"
    move(thing, "location", 0, f"{away} * sin{angle}")
    move(thing, "location", 1, f"-{away} * cos{angle}")
    move(thing, "location", 2, f"1.75 + 0.55 * cos({TURN})")
    look_at(thing, hero)
    scene.camera = thing


if __name__ == "__main__":
    build(sys.argv[1])
