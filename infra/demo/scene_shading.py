"""Colours and surfaces of the sample animation: what everything is made of, and the sky."""

from __future__ import annotations

import math
from typing import Any

import bpy  # isort: skip  # before the modules that come with it
import numpy
import OpenImageIO as oiio
from scene_motion import TURN, move

SUN_HEIGHT, SUN_RADIUS = 0.065, 0.175  # radians
PALETTE = ((0.00, 0x120B3C), (0.22, 0x2B1A6B), (0.45, 0x8A2A8F), (0.66, 0xF0566A), (0.85, 0xFF9A5A), (1.00, 0xFFE0A3))

Colour = tuple[float, float, float]


def colour(value: int) -> Colour:
    """Linear RGB of an sRGB hexadecimal number."""
    parts = ((value >> shift & 255) / 255 for shift in (16, 8, 0))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def write_palette(path: str) -> None:
    """Height of a pillar, left to right, as its colour."""
    stops = [place for place, _ in PALETTE]
    channels = [[value >> shift & 255 for _, value in PALETTE] for shift in (16, 8, 0)]
    at = numpy.linspace(0, 1, 512)
    row = numpy.stack([numpy.interp(at, stops, channel) for channel in channels], axis=-1)
    pixels = numpy.repeat(row[None].round().astype(numpy.uint8), 32, axis=0)
    out = oiio.ImageOutput.create(path)
    out.open(path, oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "uint8"))
    out.write_image(numpy.ascontiguousarray(pixels))
    out.close()


def sky(scene: Any) -> None:
    """Dusk: dark above, warm at the horizon, and a sun with a soft edge, from magenta at the water to gold on top."""
    scene.world = bpy.data.worlds.new("dusk")
    tree = scene.world.node_tree
    background = tree.nodes["Background"]
    background.inputs["Strength"].default_value = 0.75
    scene.world.cycles.sampling_method = "NONE"  # smooth and dim: the lamps do the lighting
    height = height_of_view(tree)
    dusk = ((0.0, 0xFF8A6B), (0.05, 0xD8487F), (0.14, 0x86308C), (0.32, 0x301C68), (0.7, 0x0C1038))
    disc = ((0.0, 0xE8286F), (0.07, 0xFF5A62), (0.15, 0xFF964A), (0.23, 0xFFD878))
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    tree.links.new(sun_mask(tree), mix.inputs["Factor"])
    tree.links.new(ramp(tree, height, dusk), mix.inputs["A"])
    tree.links.new(brighter(tree, ramp(tree, height, disc), 1.7), mix.inputs["B"])
    tree.links.new(mix.outputs["Result"], background.inputs["Color"])


def height_of_view(tree: Any) -> Any:
    place, axes = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeSeparateXYZ")
    tree.links.new(place.outputs["Generated"], axes.inputs[0])
    return axes.outputs["Z"]


def sun_mask(tree: Any) -> Any:
    """1 within the sun's disc, 0 outside: the angle between the view and the sun, with an edge a pixel wide."""
    place, near = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeVectorMath")
    near.operation = "DOT_PRODUCT"
    near.inputs[1].default_value = (0.0, math.cos(SUN_HEIGHT), math.sin(SUN_HEIGHT))
    edge = tree.nodes.new("ShaderNodeMapRange")
    edge.interpolation_type = "SMOOTHSTEP"
    edge.inputs["From Min"].default_value = math.cos(SUN_RADIUS + 0.003)
    edge.inputs["From Max"].default_value = math.cos(SUN_RADIUS - 0.003)
    tree.links.new(place.outputs["Generated"], near.inputs[0])
    tree.links.new(near.outputs["Value"], edge.inputs["Value"])
    return edge.outputs["Result"]


def ramp(tree: Any, factor: Any, stops: tuple[tuple[float, int], ...]) -> Any:
    """A colour for each value: the socket of a new colour ramp."""
    node = tree.nodes.new("ShaderNodeValToRGB")
    elements = node.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(1.0)
    for element, (place, value) in zip(elements, stops, strict=True):
        element.position, element.color = place, (*colour(value), 1)
    tree.links.new(factor, node.inputs[0])
    return node.outputs["Color"]


def brighter(tree: Any, shade: Any, times: float) -> Any:
    node = tree.nodes.new("ShaderNodeVectorMath")
    node.operation = "SCALE"
    node.inputs["Scale"].default_value = times
    tree.links.new(shade, node.inputs[0])
    return node.outputs[0]


def pillar_material() -> Any:
    """Colour by height, looked up in the texture; a coat that catches the sun."""
    material, tree, shader = new_material("pillars")
    where = tree.nodes.new("ShaderNodeObjectInfo")
    axes = tree.nodes.new("ShaderNodeSeparateXYZ")
    scale = tree.nodes.new("ShaderNodeMapRange")
    scale.inputs["From Min"].default_value, scale.inputs["From Max"].default_value = -0.62, 0.5
    join = tree.nodes.new("ShaderNodeCombineXYZ")
    join.inputs["Y"].default_value = 0.5
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load("//textures/palette.png")
    texture.extension = "EXTEND"
    tree.links.new(where.outputs["Location"], axes.inputs[0])
    tree.links.new(axes.outputs["Z"], scale.inputs["Value"])
    tree.links.new(scale.outputs["Result"], join.inputs["X"])
    tree.links.new(join.outputs[0], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    put(shader, {"Roughness": 0.32, "Metallic": 0.25, "Coat Weight": 0.4, "Coat Roughness": 0.12})
    return material


def new_material(name: str) -> tuple[Any, Any, Any]:
    material = bpy.data.materials.new(name)
    return material, material.node_tree, material.node_tree.nodes["Principled BSDF"]


def put(shader: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        shader.inputs[name].default_value = (*value, 1) if isinstance(value, tuple) else value


def plain(name: str, **values: Any) -> Any:
    """A material from the shader's own inputs; underscores stand for spaces."""
    material, _, shader = new_material(name)
    put(shader, {key.replace("_", " "): value for key, value in values.items()})
    return material


def glass(name: str, tint: int) -> Any:
    return plain(name, Base_Color=colour(tint), Transmission_Weight=1.0, Roughness=0.0, IOR=1.47)


def glow(name: str, tint: int, strength: float) -> Any:
    """Seen, and found by chance: as sampled lights thousands of small triangles would cost more than they show."""
    black = (0.0, 0.0, 0.0)
    made = plain(name, Base_Color=black, Emission_Color=colour(tint), Emission_Strength=strength, Specular_IOR_Level=0.0)
    made.cycles.emission_sampling = "NONE"
    return made


def sea_material() -> Any:
    """A dark mirror to the horizon with a little swell in it."""
    material, tree, shader = new_material("sea")
    put(shader, {"Base Color": colour(0x140C3A), "Roughness": 0.11, "Specular IOR Level": 0.9})
    swell, bump = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeBump")
    place, stretch = tree.nodes.new("ShaderNodeNewGeometry"), tree.nodes.new("ShaderNodeMapping")
    stretch.inputs["Scale"].default_value = (0.5, 1.6, 1.0)
    swell.inputs["Scale"].default_value, swell.inputs["Detail"].default_value = 1.1, 1.0
    bump.inputs["Distance"].default_value = 0.3
    far, calm = tree.nodes.new("ShaderNodeCameraData"), tree.nodes.new("ShaderNodeMapRange")
    for name, value in (("From Min", 7.0), ("From Max", 32.0), ("To Min", 0.11), ("To Max", 0.0)):
        calm.inputs[name].default_value = value  # ripples finer than a pixel would be noise
    tree.links.new(far.outputs["View Distance"], calm.inputs["Value"])
    tree.links.new(calm.outputs["Result"], bump.inputs["Strength"])
    tree.links.new(place.outputs["Position"], stretch.inputs["Vector"])
    tree.links.new(stretch.outputs["Vector"], swell.inputs["Vector"])
    tree.links.new(swell.outputs[0], bump.inputs["Height"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    return material


def core_material() -> Any:
    """White-hot in the middle, red at the rim."""
    material = glow("core", 0xFFFFFF, 3.2)
    tree = material.node_tree
    facing = tree.nodes.new("ShaderNodeLayerWeight").outputs["Facing"]
    shade = ramp(tree, facing, ((0.0, 0xFFD890), (0.4, 0xFF9030), (1.0, 0xD2301A)))
    tree.links.new(shade, tree.nodes["Principled BSDF"].inputs["Emission Color"])
    return material


def nebula_material() -> Any:
    """Glowing threads in the glass: a volume that only shines, denser towards the middle. It drifts on a small circle."""
    material, tree, shader = new_material("nebula")
    tree.nodes.remove(shader)
    place, drift = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
    noise, glows = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeEmission")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 2.6, 3.0
    noise.inputs["Distortion"].default_value = 1.4
    stops = ((0.52, 0x000000), (0.58, 0x0B4DFF), (0.63, 0x18E0C8), (0.69, 0xFF3FA0), (0.8, 0xFFB04A))
    tree.links.new(place.outputs["Object"], drift.inputs["Vector"])
    tree.links.new(drift.outputs["Vector"], noise.inputs["Vector"])
    tree.links.new(ramp(tree, noise.outputs[0], stops), glows.inputs["Color"])
    glows.inputs["Strength"].default_value = 1.7
    tree.links.new(glows.outputs[0], tree.nodes["Material Output"].inputs["Volume"])
    move(drift.inputs["Location"], "default_value", 0, f"0.35 * sin({TURN})")
    move(drift.inputs["Location"], "default_value", 2, f"0.35 * cos({TURN})")
    return material
