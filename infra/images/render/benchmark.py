"""The benchmark frame: one picture made from nothing, whose cost on the reference machine is a constant of the farm.

`contracts.work.BENCHMARK_MICRO_WU` is that cost. Whoever changes what is rendered here changes what a WU is: measure again.
Nothing is read and nothing is written; stdout holds `hello`, one `benchmark` per run, `done` (PROTOCOL.md).
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import device
from driver import PROTOCOL
from events import say, take_stdout

RUNS = 3
WARM_UP_SAMPLES = 1
SAMPLES = 8
WIDTH, HEIGHT = 240, 135


def main(arguments: list[str]) -> int:
    """Returns the exit code; the one argument there may be is `gpu`. The first render loads the kernels and is not counted."""
    out = take_stdout()
    import bpy  # only now: file descriptor 1 is ours

    say(out, "hello", protocol=PROTOCOL, blender=".".join(str(part) for part in bpy.app.version))
    scene = _scene(bpy)
    try:
        device.use(bpy, scene, "gpu" in arguments)
    except device.NoGpu as error:
        say(out, "error", code="no_gpu", frame=None, text=str(error)[:300])
        return 5
    scene.cycles.samples = WARM_UP_SAMPLES
    _measure(bpy)
    scene.cycles.samples = SAMPLES
    for run in range(1, RUNS + 1):
        cpu, wall = _measure(bpy)
        say(out, "benchmark", run=run, cpu_seconds=round(cpu, 6), seconds=round(wall, 6))
    say(out, "done", frames=0)
    return 0


def _measure(bpy: Any) -> tuple[float, float]:
    cpu, began = _cpu_seconds(), time.monotonic()
    bpy.ops.render.render(write_still=False)
    return _cpu_seconds() - cpu, time.monotonic() - began


def _scene(bpy: Any) -> Any:
    """Diffuse, glossy and glass over a floor under a sun and a sky: what Cycles spends its time on, in little."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    cycles = scene.cycles
    cycles.seed, cycles.use_adaptive_sampling, cycles.use_denoising = 0, False, False
    scene.world = bpy.data.worlds.new("sky")
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.25, 0.4, 0.7, 1)
    _things(bpy)
    _light_and_camera(bpy, scene)
    return scene


def _things(bpy: Any) -> None:
    bpy.ops.mesh.primitive_plane_add(size=40)
    bpy.context.object.data.materials.append(_paint(bpy, "floor", (0.4, 0.4, 0.42), 0.5, 0.0, 0.0))
    for index in range(25):
        row, column = divmod(index, 5)
        bpy.ops.mesh.primitive_uv_sphere_add(radius=0.42, location=(column - 2.0, row - 1.0, 0.42), segments=48, ring_count=24)
        bpy.ops.object.shade_smooth()
        colour = (0.15 + 0.18 * column, 0.9 - 0.15 * row, 0.2 + 0.03 * index)
        metal, glass = float(index % 3 == 1), float(index % 3 == 2)
        bpy.context.object.data.materials.append(_paint(bpy, f"paint {index}", colour, 0.1 + 0.03 * index, metal, glass))


def _paint(bpy: Any, name: str, colour: tuple[float, float, float], roughness: float, metal: float, glass: float) -> Any:
    paint = bpy.data.materials.new(name)
    inputs = paint.node_tree.nodes["Principled BSDF"].inputs
    inputs["Base Color"].default_value = (*colour, 1)
    inputs["Roughness"].default_value, inputs["Metallic"].default_value = roughness, metal
    inputs["Transmission Weight"].default_value = glass
    return paint


def _light_and_camera(bpy: Any, scene: Any) -> None:
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3.0, (0.7, 0.2, 0.4)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location, camera.rotation_euler = (0.0, -6.0, 3.2), (1.12, 0, 0)
    for thing in (sun, camera):
        scene.collection.objects.link(thing)
    scene.camera = camera


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
