"""The films that the estimate was tuned on, and that calibrate its band. They are not among the judged ones."""

from __future__ import annotations

import math
import random
from typing import Any

from stage import FRAMES, ball, box, camera, crowd, fog, glass, lamp, mirror, over, paint, shown, smooth, stage, wave, wax


def dawn() -> None:
    """Slow: light rises over wax figures while the camera climbs."""
    scene = stage(sky=0.1)
    crowd(30, 2.0, wax(), 21, 0.4)
    camera(scene, lambda t: (1.0, -6.0, 0.8 + 4.0 * t * t))


def chapters() -> None:
    """Four shots of different weight, cut hard."""
    scene = stage()
    crowd(30, 1.0, glass(), 22, 0.35)
    ball((15, 0, 1), 1.0, paint("red", (0.7, 0.1, 0.1)))
    cameras = [camera(scene, (0, -d, 1.6), name=f"shot {d}") for d in (3, 14)]
    cameras.append(camera(scene, (15, -4, 1.6), (15, 0, 1), "ball"))
    for frame, which in ((1, 1), (66, 0), (121, 2), (178, 0)):
        scene.timeline_markers.new(f"shot {frame}", frame=frame).camera = cameras[which]


def swarm() -> None:
    """A swarm that comes and goes four times."""
    scene = stage()
    for one in crowd(60, 1.6, glass(), 23, 0.25):
        x, y, z = one.location
        over(one, "location", lambda t, x=x, y=y, z=z: (x, y + 16.0 * wave(t, 4.0), z))
    camera(scene, (0, -3.5, 1.4))


def smoke() -> None:
    """Two clouds drift by, one long, one short."""
    scene = stage(4)
    for size, begins in (((3, 3, 3), 0.1), ((1.5, 2, 3), 0.62)):
        cloud = box((0, 0, 1.5), size, fog(0.7)[0])
        over(cloud, "location", lambda t, begins=begins: (-9 + 45 * max(0.0, t - begins), 0, 1.5))
    crowd(12, 2.0, paint("blue", (0.2, 0.2, 0.7)), 24)
    camera(scene)


def flicker() -> None:
    """Something heavy is in the picture for six of every seventeen frames."""
    scene = stage()
    heap = crowd(35, 1.0, glass(), 25, 0.35)
    for one in heap:
        shown(one, lambda t: round(1 + t * (FRAMES - 1)) % 17 < 6)
    camera(scene, (0, -4, 1.6))


def arcade() -> None:
    """Through an arcade of mirrors and lamps, with a stop in the middle."""
    scene, chance = stage(sky=0.2), random.Random(26)
    for at in range(12):
        box((chance.choice((-2, 2)), 2.0 * at - 6, 1.5), (0.3, 1.2, 3), mirror())
        lamp(scene, (0, 2.0 * at - 6, 2.8), 30)
    camera(scene, lambda t: (0.2 * math.sin(9 * t), -14 + 12 * smooth(t, 0.0, 0.4) + 10 * smooth(t, 0.6, 1.0), 1.5),
           lambda t: (0, 30, 1.2))  # fmt: skip


def zoom() -> None:
    """The lens goes in and out, faster at the end."""
    scene = stage()
    crowd(20, 0.8, glass(), 27, 0.35)
    eye = camera(scene, (0, -9, 2.0))
    over(eye.data, "lens", lambda t: 24 + 110 * wave(t * t, 2.5, -0.25))


def burst() -> None:
    """Quiet, but for one heavy second somewhere."""
    scene = stage()
    crowd(20, 2.0, paint("grey", (0.4, 0.4, 0.4)), 28)
    shown(box((0, -1, 1.5), (6, 4, 3), fog(0.6)[0]), lambda t: 0.55 < t < 0.66)
    camera(scene)


FILMS: tuple[Any, ...] = (dawn, chapters, swarm, smoke, flicker, arcade, zoom, burst)
