"""One scene with one of everything that a survey reports, so that no Blender property it reads has another name."""

from __future__ import annotations

import os
from typing import Any

import bpy


def fill(scene: Any, folder: str) -> None:
    """Adds to a simple scene: files of every kind, missing and present; simulations; code; growth by modifiers."""
    os.makedirs(f"{folder}/textures", exist_ok=True)
    cube, ball = bpy.data.objects["cube"], bpy.data.objects["ball"]
    _images(folder)
    _nodes(scene)
    _growth(cube, ball)
    _simulations(scene)
    _outside(folder, cube)


def _images(folder: str) -> None:
    picture = bpy.data.images.new("made", 32, 16)
    picture.filepath_raw, picture.file_format = f"{folder}/textures/wood_0001.png", "PNG"
    picture.save()
    picture.filepath_raw = f"{folder}/textures/tile.1001.png"
    picture.save()
    bpy.data.images.remove(picture)
    for name, path, source in (
        ("sequence", "//textures/wood_0042.png", "SEQUENCE"),
        ("tiles", "//textures/tile.<UDIM>.png", "TILED"),
        ("lost tiles", "//textures/gone.<UDIM>.png", "TILED"),
        ("lost film", "//textures/gone.mp4", "MOVIE"),
        ("elsewhere", "/home/artist/rust.png", "FILE"),
    ):
        image = bpy.data.images.new(name, 4, 4)
        image.source, image.filepath = source, path
        _show(image)
    packed = bpy.data.images.load(f"{folder}/textures/wood_0001.png")
    packed.name = "packed"
    packed.pack()
    _show(packed)


def _show(image: Any) -> None:
    """Adds its light to what the material shows already."""
    tree = bpy.data.materials["orange"].node_tree
    node, light, both = (tree.nodes.new(f"ShaderNode{kind}") for kind in ("TexImage", "Emission", "AddShader"))
    node.image = image
    surface = tree.get_output_node("ALL").inputs["Surface"]
    tree.links.new(surface.links[0].from_socket, both.inputs[0])
    tree.links.new(node.outputs["Color"], light.inputs["Color"])
    tree.links.new(light.outputs[0], both.inputs[1])
    tree.links.new(both.outputs[0], surface)


def _nodes(scene: Any) -> None:
    tree = bpy.data.materials["teal"].node_tree
    script = tree.nodes.new("ShaderNodeScript")
    script.name = "own shader"
    lamp = bpy.data.lights.new("lamp", "POINT")
    lamp.use_nodes = True
    scene.collection.objects.link(bpy.data.objects.new("lamp", lamp))
    profile = lamp.node_tree.nodes.new("ShaderNodeTexIES")
    profile.mode, profile.filepath = "EXTERNAL", "//textures/lamp.ies"
    lamp.node_tree.links.new(profile.outputs[0], lamp.node_tree.nodes["Emission"].inputs["Strength"])
    group = bpy.data.node_groups.new("finish", "CompositorNodeTree")
    scene.compositing_node_group = group
    layers, writer = group.nodes.new("CompositorNodeRLayers"), group.nodes.new("CompositorNodeOutputFile")
    writer.directory = "/tmp/elsewhere"
    writer.file_output_items.new("RGBA", "Image")
    group.links.new(layers.outputs["Image"], writer.inputs[0])


def _growth(cube: Any, ball: Any) -> None:
    array = cube.modifiers.new("array", "ARRAY")
    array.count = 10
    mirror = cube.modifiers.new("mirror", "MIRROR")
    mirror.use_axis = (True, True, False)
    cube.modifiers.new("thick", "SOLIDIFY")
    cube.modifiers.new("screw", "SCREW").render_steps = 4
    ball.modifiers.new("multires", "MULTIRES")
    curve = bpy.data.curves.new("curve", "CURVE")
    curve.splines.new("BEZIER").bezier_points.add(3)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("curve", curve))
    meta = bpy.data.metaballs.new("meta")
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("meta", meta))
    letters = bpy.data.curves.new("letters", "FONT")
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("letters", letters))


def _simulations(scene: Any) -> None:
    for name, kind in (("flag", "CLOTH"), ("jelly", "SOFT_BODY"), ("tank", "FLUID"), ("wet", "DYNAMIC_PAINT")):
        bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, location=(0, 9, 0))
        bpy.context.object.name = name
        modifier = bpy.context.object.modifiers.new(name, kind)
        if kind == "FLUID":
            modifier.fluid_type = "DOMAIN"
        if kind == "DYNAMIC_PAINT":
            bpy.ops.dpaint.type_toggle(type="CANVAS")
    for name, kind in (("sparks", "EMITTER"), ("fur", "HAIR")):
        bpy.ops.mesh.primitive_plane_add(location=(0, 9, 0))
        bpy.context.object.name = name
        bpy.context.object.modifiers.new(name, "PARTICLE_SYSTEM")
        bpy.context.object.particle_systems[0].settings.type = kind
    bpy.ops.rigidbody.world_add()
    bpy.ops.mesh.primitive_plane_add(location=(0, 9, 0))
    bpy.ops.rigidbody.object_add(type="ACTIVE")
    bpy.context.object.name = "growing"
    group = bpy.data.node_groups.new("growth", "GeometryNodeTree")
    entry, end = group.nodes.new("GeometryNodeSimulationInput"), group.nodes.new("GeometryNodeSimulationOutput")
    entry.pair_with_output(end)
    bpy.context.object.modifiers.new("nodes", "NODES").node_group = group


def _outside(folder: str, cube: Any) -> None:
    cube.modifiers.new("cache", "MESH_CACHE").filepath = "//caches/cube.mdd"
    volume = bpy.data.volumes.new("smoke")
    volume.filepath = "//caches/smoke.vdb"
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("smoke", volume))
    library = f"{folder}/props.blend"
    chair = bpy.data.objects.new("chair", bpy.data.meshes.new("chair"))
    bpy.data.libraries.write(library, {chair}, fake_user=True)
    bpy.data.objects.remove(chair)
    with bpy.data.libraries.load(library, link=True) as (_, wanted):
        wanted.objects = ["chair"]
    bpy.context.scene.collection.objects.link(bpy.data.objects["chair"])
    os.unlink(library)
