"""What a job may change in the opened scene at its renter's word; the .blend stays as it is. Names: contracts/changes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _cycles(scene: Any) -> None:
    scene.render.engine = "CYCLES"


def _pictures(scene: Any) -> None:
    """The driver writes pictures whatever the file says."""


def _full_resolution(scene: Any) -> None:
    scene.render.resolution_percentage = 100


def _whole_picture(scene: Any) -> None:
    scene.render.use_border = scene.render.use_crop_to_border = False


def _one_view(scene: Any) -> None:
    scene.render.use_multiview = False


def _first_camera(scene: Any) -> None:
    if scene.camera is None:
        scene.camera = next((thing for thing in scene.objects if thing.type == "CAMERA"), None)


def _without_sequencer(scene: Any) -> None:
    scene.render.use_sequencer = False


def _without_file_outputs(scene: Any) -> None:
    group = scene.compositing_node_group
    for node in group.nodes if group else ():
        if node.bl_idname == "CompositorNodeOutputFile":
            node.mute = True


def _step(scene: Any) -> None:
    """Done frame by frame: see Steps."""


CHANGES: dict[str, Callable[[Any], None]] = {
    "render-with-cycles": _cycles,
    "pictures-instead-of-video": _pictures,
    "full-resolution": _full_resolution,
    "whole-picture": _whole_picture,
    "one-view": _one_view,
    "first-camera": _first_camera,
    "without-sequencer": _without_sequencer,
    "without-file-outputs": _without_file_outputs,
    "step-simulations": _step,
}


def make(scene: Any, changes: tuple[str, ...]) -> None:
    for change in changes:
        CHANGES[change](scene)


class Steps:
    """Runs the simulations without a bake up to each frame; frames come in rising order, so that none is run twice."""

    def __init__(self, bpy: Any, scene: Any, alive: Callable[[int], None]) -> None:
        """`alive` is called with every frame stepped over."""
        from survey_files import Files  # not before bpy
        from survey_moves import simulated_from

        self._scene, self._alive = scene, alive
        self._first = simulated_from(scene, Files(bpy, scene).used())
        self._at: int | None = None

    def to(self, frame: int) -> None:
        if self._first is None or frame <= self._first:
            return
        begin = self._first if self._at is None else self._at + 1
        for step in range(begin, frame):
            self._scene.frame_set(step)
            self._alive(step)
        self._at = frame
