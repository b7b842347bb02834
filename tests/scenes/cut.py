"""Timelines that are cut: by cameras, and by what comes and goes."""

from __future__ import annotations

from typing import Any

import bpy


def shots(scene: Any) -> None:
    """Two cameras by turns, and a ball that is there in the middle and again at the end; a key where no frame can be."""
    _turns(scene, (3, 5, 7))
    _seen((1, True), (4, False), (6, True), (8, False))
    (last,) = [one.keyframe_points for one in _curves(bpy.data.objects["ball"]) if one.data_path == "hide_render"]
    last.insert(10_000_000, 1.0)


def crowded(scene: Any) -> None:
    """One cut, and a ball that comes or goes at every frame, far more often than is of use to anybody."""
    _turns(scene, (1, 4))
    _seen(*((frame, frame % 2 == 0) for frame in range(1, 201)))


def _turns(scene: Any, cuts: tuple[int, ...]) -> None:
    other = bpy.data.objects.new("other", bpy.data.cameras.new("other"))
    scene.collection.objects.link(other)
    for at, frame in enumerate(cuts):
        scene.timeline_markers.new(f"cut {frame}", frame=frame).camera = (scene.camera, other)[at % 2]


def _seen(*keys: tuple[int, bool]) -> None:
    ball = bpy.data.objects["ball"]
    for frame, is_hidden in keys:
        ball.hide_render = is_hidden
        ball.keyframe_insert("hide_render", frame=frame)


def _curves(thing: Any) -> Any:
    return [curve for bag in thing.animation_data.action.layers[0].strips[0].channelbags for curve in bag.fcurves]
