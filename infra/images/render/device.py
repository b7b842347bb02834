"""Which device Cycles renders on: the CPU, or the one GPU that the container was given."""

from __future__ import annotations

from typing import Any

KINDS = ("OPTIX", "CUDA")  # the faster one first; what a card cannot do, it does not list


class NoGpu(Exception):
    """The container was to have a GPU and Blender finds none: the machine's fault, never the scene's."""


def use(bpy: Any, scene: Any, gpu: bool) -> str:
    """Sets it for this scene; returns its kind. Raises `NoGpu` rather than render on the CPU unasked."""
    if not gpu:
        scene.cycles.device = "CPU"
        return "CPU"
    preferences = bpy.context.preferences.addons["cycles"].preferences
    known = {entry[0] for entry in preferences.get_device_types(bpy.context)}
    preferences.refresh_devices()
    for kind in KINDS:
        if kind in known and any(device.type == kind for device in preferences.devices):
            preferences.compute_device_type = kind
            for device in preferences.devices:
                device.use = device.type == kind
            scene.cycles.device = "GPU"
            return kind
    raise NoGpu("Blender finds no GPU in the container: is this the GPU image, and does the container runtime pass the card on?")
