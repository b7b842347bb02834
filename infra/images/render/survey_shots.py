"""Where the timeline is cut: which camera looks, and what the keys of visibility put into the picture and take out of it.

A look is a number: of equal numbers camera and visible things are the same. Keys alone are read; nothing is evaluated. More shots
or looks than anybody can use are reduced to what the cameras say.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

MOST_SHOTS, MOST_LOOKS = 100, 24
MOST_KEYS = 200_000
FIRST, LAST = -1_048_574, 1_048_574
SWITCHES = ("hide_render", "show_render")
ON = 0.9999  # from here on Blender takes a keyed number for true

Change = tuple[int, str, Any]
"""From this frame on, this thing is so."""


def shots(scene: Any) -> list[list[int]]:
    """[first frame, last frame, look] over the whole timeline, in order; nothing where there is but one."""
    cuts = list(_cuts(scene))
    for changes in ([*cuts, *_switches(scene)], cuts):
        found = _shots(changes)
        if 1 < len(found) <= MOST_SHOTS and len({look for *_, look in found}) <= MOST_LOOKS:
            return found
    return []


def _shots(changes: list[Change]) -> list[list[int]]:
    state: dict[str, Any] = {}
    looks: dict[frozenset[tuple[str, Any]], int] = {}
    found: list[list[int]] = []
    ordered = sorted(changes, key=lambda change: change[0])
    for at, (frame, thing, value) in enumerate(ordered):
        state[thing] = value
        if at + 1 < len(ordered) and ordered[at + 1][0] == frame:
            continue
        look = looks.setdefault(frozenset(state.items()), len(looks))
        if not found or found[-1][2] != look:
            found.append([frame, LAST, look])
        if len(found) > MOST_SHOTS:
            break  # too many, however they go on
    for one, after in pairwise(found):
        one[1] = after[0] - 1
    return found


def _cuts(scene: Any) -> Iterator[Change]:
    """Before the first marker its camera looks already."""
    marked = sorted((mark.frame, mark.camera.name_full) for mark in scene.timeline_markers if _looks(mark.camera))
    for at, (frame, camera) in enumerate(marked):
        yield (FIRST if at == 0 else _within(frame)), "camera", camera


def _looks(camera: Any) -> bool:
    return camera is not None and not camera.hide_render


def _switches(scene: Any) -> Iterator[Change]:
    keys = 0
    for thing in scene.objects:
        data = thing.animation_data
        if data is None or data.action is None or data.nla_tracks:
            continue
        for curve in _curves(data):
            if curve.data_path.rpartition(".")[2] not in SWITCHES or curve.mute:
                continue
            keys += len(curve.keyframe_points)
            if keys > MOST_KEYS:
                return
            yield from _values(curve, f"{thing.name_full} {curve.data_path}")


def _curves(data: Any) -> Iterator[Any]:
    """Of the slot that this thing plays: an action may hold those of many."""
    for layer in data.action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                if bag.slot_handle == data.action_slot_handle:
                    yield from bag.fcurves


def _values(curve: Any, name: str) -> Iterator[Change]:
    """Its keys, as far as they change anything; before the first one it is as there."""
    before = None
    for point in curve.keyframe_points:
        value = point.co.y >= ON
        if value != before:
            yield (FIRST if before is None else _within(-(-point.co.x // 1))), name, value
        before = value


def _within(frame: float) -> int:
    """Keys may lie anywhere."""
    return int(max(FIRST, min(LAST, frame)))
