"""Makes the small .blend files that tests and benchmarks render. Runs inside the render image: `python3 build.py OUTDIR`.

One process for all of them. Every scene is `ok_small` with one thing changed, so that a test which fails says which.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any

import bpy
import numpy
import OpenImageIO as oiio

import cut
import zoo

SAMPLES_BENCH = {"bench_1s": 1.0, "bench_5s": 5.0, "bench_30s": 30.0}
SAMPLES_PER_CPU_SECOND = 13  # of `ok_small` at 240x135, on two cores of a 2020 server
VERSION_AT = 13  # `BLENDER17-01v0500`: the four digits that end a Blender 5 header

SCRIPT = """
import socket, sys
sys.stderr.write("escaped%d\\n" % 42)
open("/out/pwned", "w").write("a script ran")
try:
    socket.create_connection(("1.1.1.1", 53), timeout=2)
    open("/out/online", "w").write("the network answered")
except OSError as error:
    open("/out/offline", "w").write(str(error))
"""
DRIVER = "__import__('os').system('touch /out/pwned; echo escaped$((6*7)) >&2') + 1.0"


def ok_small() -> Any:
    """192x108, 4 samples, 8 frames, about 0.2 cpu seconds each: a cube, a ball, a light; the ball moves."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    _settings(scene)
    _sky(scene)
    floor = _mesh("floor", bpy.ops.mesh.primitive_plane_add, _paint("grey", (0.35, 0.36, 0.4)), size=20)
    floor.location = (0, 0, 0)
    cube = _mesh("cube", bpy.ops.mesh.primitive_cube_add, _paint("orange", (0.9, 0.3, 0.06)), size=1.4)
    cube.location, cube.rotation_euler = (-1.1, 0.4, 0.7), (0, 0, 0.5)
    ball = _mesh("ball", bpy.ops.mesh.primitive_uv_sphere_add, _paint("teal", (0.02, 0.5, 0.5)), radius=0.7)
    for frame, x in ((1, 0.2), (8, 1.8)):
        ball.location = (x, -0.3, 0.7)
        ball.keyframe_insert("location", frame=frame)
    _light_and_camera(scene)
    return scene


def _settings(scene: Any) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 4, False, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 192, 108, 100
    scene.render.fps, scene.frame_start, scene.frame_end = 24, 1, 8


def _sky(scene: Any) -> None:
    scene.world = bpy.data.worlds.new("sky")
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.25, 0.4, 0.7, 1)


def _light_and_camera(scene: Any) -> None:
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3.0, (0.7, 0.2, 0.4)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location, camera.rotation_euler = (0.3, -6.2, 2.6), (1.22, 0, 0)
    for thing in (sun, camera):
        scene.collection.objects.link(thing)
    scene.camera = camera


def _mesh(name: str, add: Callable[..., Any], paint: Any, **shape: float) -> Any:
    add(**shape)
    thing = bpy.context.object
    thing.name = name
    thing.data.materials.append(paint)
    return thing


def _paint(name: str, colour: tuple[float, float, float]) -> Any:
    paint = bpy.data.materials.new(name)
    paint.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*colour, 1)
    return paint


def _texture(paint: str, path: str, linked: bool = True) -> None:
    """An image node with a path that need not exist (Blender itself refuses to load a missing one)."""
    tree = bpy.data.materials[paint].node_tree
    image = bpy.data.images.new(os.path.basename(path), 4, 4)
    image.source, image.filepath = "FILE", path
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    if linked:
        tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])


def no_camera() -> None:
    scene = ok_small()
    scene.collection.objects.unlink(scene.camera)
    scene.camera = None


def marker_camera() -> None:
    scene = ok_small()
    marker = scene.timeline_markers.new("cut", frame=1)
    marker.camera = scene.camera


def eevee() -> None:
    ok_small().render.engine = "BLENDER_EEVEE"


def workbench() -> None:
    ok_small().render.engine = "BLENDER_WORKBENCH"


def missing_texture() -> None:
    ok_small()
    _texture("orange", "//textures/not-there.png")


def missing_unused() -> None:
    ok_small()
    _texture("orange", "//textures/not-there.png", linked=False)


def script() -> None:
    ok_small()
    text = bpy.data.texts.new("startup.py")
    text.write(SCRIPT)
    text.use_module = True


def driver_script() -> None:
    ok_small()
    bpy.data.objects["cube"].driver_add("scale", 0).driver.expression = DRIVER


def subdivision_bomb() -> None:
    ok_small()
    modifier = bpy.data.objects["ball"].modifiers.new("bomb", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 9  # 480 quads and 64 triangles -> 1.6e8 faces


def texture_bomb() -> None:
    ok_small()
    _texture("orange", "//textures/bomb.png")


def textured() -> None:
    ok_small()
    _texture("orange", "//textures/stripes.png")


def slow() -> None:
    scene = ok_small()
    scene.cycles.samples = 1_000_000


def movie_output() -> None:
    image = ok_small().render.image_settings
    image.media_type = "VIDEO"
    image.file_format = "FFMPEG"


def two_scenes() -> None:
    """A second scene with a shorter range, for jobs that name one."""
    first = ok_small()
    second = bpy.data.scenes.new("second")
    for thing in first.objects:
        second.collection.objects.link(thing)
    second.world, second.camera = first.world, first.camera
    _settings(second)
    second.frame_end = 3


def _bench(cpu_seconds: float) -> Callable[[], None]:
    def build() -> None:
        scene = ok_small()
        scene.render.resolution_x, scene.render.resolution_y = 240, 135
        scene.cycles.samples = round(cpu_seconds * SAMPLES_PER_CPU_SECOND)
        scene.frame_end = 48

    return build


SCENES: dict[str, Callable[[], Any]] = {
    "ok_small": ok_small,
    "no_camera": no_camera,
    "marker_camera": marker_camera,
    "eevee": eevee,
    "workbench": workbench,
    "missing_texture": missing_texture,
    "missing_unused": missing_unused,
    "script": script,
    "driver_script": driver_script,
    "subdivision_bomb": subdivision_bomb,
    "texture_bomb": texture_bomb,
    "textured": textured,
    "slow": slow,
    "movie_output": movie_output,
    "shots": lambda: cut.shots(ok_small()),
    "crowded": lambda: cut.crowded(ok_small()),
    "two_scenes": two_scenes,
    **{name: _bench(seconds) for name, seconds in SAMPLES_BENCH.items()},
}


def main(folder: str) -> None:
    """Writes `FOLDER/<name>/scene.blend` and its textures: each folder is a bundle as it is."""
    os.umask(0)  # whoever asked for the files is another user outside and must be able to remove them
    for name, build in SCENES.items():
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        build()
        _save(f"{folder}/{name}")
    os.makedirs(f"{folder}/zoo", exist_ok=True)
    zoo.fill(ok_small(), f"{folder}/zoo")
    _save(f"{folder}/zoo")
    _stripes(f"{folder}/textured/textures", 64)
    _blank(f"{folder}/texture_bomb/textures", 24_000)
    _damaged(folder)


def _save(folder: str) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/scene.blend", compress=False, relative_remap=False)


def _stripes(folder: str, side: int) -> None:
    os.makedirs(folder, exist_ok=True)
    rows = numpy.zeros((side, side, 3), numpy.uint8)
    rows[:, :, 0], rows[::8, :, 1], rows[:, ::8, 2] = 230, 160, 200
    _write(f"{folder}/stripes.png", rows)


def _blank(folder: str, side: int) -> None:
    """A black PNG that decodes to gigabytes: one compressed row, repeated, so that making it takes no time either."""
    os.makedirs(folder, exist_ok=True)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    row = packer.compress(b"\0" * (1 + 3 * side)) + packer.flush(zlib.Z_FULL_FLUSH)
    total = side * (1 + 3 * side)
    adler = (total % 65521) << 16 | 1  # of `total` zero bytes
    packed = b"\x78\xda" + row * side + packer.flush() + struct.pack(">I", adler)
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    with open(f"{folder}/bomb.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + _part(b"IHDR", head) + _part(b"IDAT", packed) + _part(b"IEND", b""))


def _part(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _write(path: str, pixels: Any) -> None:
    out = oiio.ImageOutput.create(path)
    out.open(path, oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "uint8"))
    out.write_image(pixels)
    out.close()


def _damaged(folder: str) -> None:
    with open(f"{folder}/ok_small/scene.blend", "rb") as file:
        whole = file.read()
    files = {
        "truncated": whole[: len(whole) * 6 // 10],
        "newer": whole[:VERSION_AT] + b"9900" + whole[VERSION_AT + 4 :],
        "not_a_blend": b"this is no scene\n" * 20,
    }
    for name, content in files.items():
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        with open(f"{folder}/{name}/scene.blend", "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main(sys.argv[1])
