"""The films that quotes are judged by; none of them was looked at while the estimate was tuned. One reason each why a frame
costs more than another."""

from __future__ import annotations

import math
import random
from typing import Any

import bpy

from stage import (
    FRAMES,
    ball,
    box,
    camera,
    crowd,
    fog,
    glass,
    lamp,
    mirror,
    over,
    paint,
    shown,
    smooth,
    stage,
    wave,
    wax,
)  # fmt: skip


def ramp() -> None:
    """The camera comes nearer and nearer to a heap of glass."""
    scene = stage()
    crowd(40, 1.2, glass(), 1, 0.35)
    camera(scene, lambda t: (0.5, -14.0 + 11.5 * t, 2.2 - 0.8 * t))


def cuts() -> None:
    """Three cameras by turns: an empty plain, a close look at glass, a room of mirrors."""
    scene = stage()
    crowd(25, 1.0, glass(), 2, 0.4)
    for at, size in (((20, 0, 2), (0.2, 8, 4)), ((28, 0, 2), (0.2, 8, 4)), ((24, 4, 2), (8, 0.2, 4))):
        box(at, size, mirror())
    ball((24, 1, 1), 1.0, paint("red", (0.8, 0.1, 0.1), 0.2))
    cameras = [
        camera(scene, (0, -30, 6), (0, -60, 8), "plain"),
        camera(scene, (0, -3.2, 1.6), name="near"),
        camera(scene, (24, -5, 2), (24, 2, 1.5), "room"),
    ]
    for frame, which in ((1, 0), (52, 1), (88, 2), (139, 0), (160, 1), (202, 2)):
        scene.timeline_markers.new(f"cut {frame}", frame=frame).camera = cameras[which]


def orbit() -> None:
    """Two and a half rounds about a stage that is glass on one side and paint on the other."""
    scene = stage()
    for at in range(14):
        angle = math.tau * at / 14
        material = glass() if at < 7 else paint("dull", (0.6, 0.4, 0.2))
        ball((2.0 * math.cos(angle), 2.0 * math.sin(angle), 0.6), 0.55, material)
    camera(scene, lambda t: (4.2 * math.cos(math.tau * 2.5 * t), 4.2 * math.sin(math.tau * 2.5 * t), 1.4))


def spikes() -> None:
    """Five bursts of smoke, ten frames each, and quiet between them."""
    scene = stage()
    crowd(20, 2.0, paint("blue", (0.1, 0.2, 0.7)), 3)
    smoke = box((0, -1, 1.5), (9, 7, 3), fog(0.8)[0])
    begins = (22, 71, 104, 168, 203)
    shown(smoke, lambda t: any(at <= round(1 + t * (FRAMES - 1)) < at + 10 for at in begins))
    camera(scene)


def particles() -> None:
    """Two hundred shining balls come into the picture, ever faster."""
    scene, chance = stage(), random.Random(4)
    for one in crowd(200, 2.5, wax(), 4, 0.25):
        comes = math.sqrt(chance.random())
        shown(one, lambda t, comes=comes: t >= comes)
    camera(scene, lambda t: (math.sin(2 * t), -6.0, 2.4))


def weather() -> None:
    """Fog rises, stands, and goes."""
    scene = stage(4)
    material, density = fog()
    box((0, 0, 2), (14, 14, 4), material)
    over(density, "default_value", lambda t: 0.002 + 0.25 * smooth(t, 0.15, 0.4) * (1 - smooth(t, 0.7, 0.95)))
    crowd(15, 2.5, paint("green", (0.1, 0.5, 0.2)), 5)
    camera(scene)


def focus() -> None:
    """A long lens with an open aperture pulls from a near thing of glass to a far crowd, and zooms."""
    scene = stage()
    ball((-0.6, -2.5, 0.8), 0.8, glass())
    for one in crowd(60, 3.0, wax(), 6, 0.25):
        one.location.y += 4.0
    eye = camera(scene, lambda t: (1.5 * t - 0.7, -7.0, 1.6))
    eye.data.dof.use_dof = True
    eye.data.dof.aperture_fstop = 0.3
    over(eye.data.dof, "focus_distance", lambda t: 4.0 + 8.0 * smooth(t, 0.3, 0.6))
    over(eye.data, "lens", lambda t: 28.0 + 60.0 * wave(t, 1.2, -0.25))


def blur() -> None:
    """Motion blur: three fast passes of a swarm past the camera."""
    scene = stage()
    scene.render.use_motion_blur = True
    scene.render.motion_blur_shutter = 0.8
    for at, one in enumerate(crowd(90, 1.2, glass(), 7, 0.32)):
        x, y, z = one.location
        over(one, "location", lambda t, x=x, y=y, z=z, at=at: (x + 14 * math.sin(math.tau * (1.5 * t) + at / 60), y, z))
    camera(scene, (0, -4.5, 1.6))


def night() -> None:
    """Lamps go on in a dark street, one after the other, and off again at the end; the camera walks."""
    scene, chance = stage(sky=0.02), random.Random(8)
    bpy.data.objects["sun"].data.energy = 0.05
    for at in range(24):
        box((chance.choice((-3, 3)) + chance.uniform(-0.5, 0.5), at - 8, 1.5), (1.4, 0.8, 3), paint("wall", (0.5, 0.4, 0.3)))
        one = lamp(scene, (chance.uniform(-1.5, 1.5), at - 8, 2.2))
        shown(one, lambda t, at=at: at / 30 < t < 0.78 + at / 110)
        shown(ball(one.location, 0.3, glass()), lambda t, at=at: at / 30 < t < 0.78 + at / 110)
    camera(scene, lambda t: (0.0, -12 + 9 * t, 1.7), lambda t: (0.4 * math.sin(9 * t), 9 * t, 1.5))


def hall() -> None:
    """A flight from the open into a hall of mirrors and out at the other end."""
    scene = stage()
    scene.cycles.max_bounces = 10
    for x in (-2.0, 2.0):
        box((x, 4, 1.5), (0.2, 16, 3), mirror())
    box((0, 4, 3.1), (4, 16, 0.2), mirror())
    for at in range(10):
        ball((math.sin(at * 2.1), -3 + 1.6 * at, 0.5 + 0.4 * (at % 3)), 0.4, mirror() if at % 2 else wax())
    camera(scene, lambda t: (0.3 * math.sin(6 * t), -14 + 30 * t, 1.5), lambda t: (0.0, -8 + 34 * t, 1.4))


def growth() -> None:
    """Geometry is made anew at every frame: an array that doubles and doubles, then is cut back to nothing."""
    scene = stage(4)
    seed = ball((-3, 0, 0.4), 0.22, paint("leaf", (0.2, 0.6, 0.1)), 32)
    for offset, name in (((1.3, 0, 0), "x"), ((0, 1.3, 0), "y"), ((0, 0, 1.3), "z")):
        array = seed.modifiers.new(name, "ARRAY")
        array.relative_offset_displace = offset
        over(array, "count", lambda t: 1 + int(8 * (t / 0.8) ** 2) if t < 0.8 else 2, step=1)
    camera(scene, (2, -9, 3.4), (-1, 0, 1.0))


def noise() -> None:
    """Adaptive sampling: how soon a pixel is good enough depends on what it shows; soft shadows come and go."""
    scene = stage(8)
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold, scene.cycles.adaptive_min_samples = True, 0.06, 4
    crowd(18, 2.0, wax(), 9, 0.4)
    sun = bpy.data.objects["sun"]
    over(sun.data, "angle", lambda t: 0.01 + 1.2 * wave(t, 1.7))
    over(sun.data, "energy", lambda t: 0.4 + 5.0 * smooth(t, 0.1, 0.9))
    camera(scene, lambda t: (4 * math.sin(3 * t), -6.5, 1.2 + 4 * t))


FILMS: tuple[Any, ...] = (ramp, cuts, orbit, spikes, particles, weather, focus, blur, night, hall, growth, noise)
