"""What can be wrong in the settings of a scene, for flaws.py: one function per flaw, changing the clean scene."""

from __future__ import annotations

from typing import Any

import bpy

OLD = bpy.app.version < (5, 0)
PACKED_BYTES = (256 << 20) + 1
COMPRESSED = ("packed", "half_resolution")
SOUGHT, EMPTY = (7_777, 7_779), (8, 1)
"""First and last frame, as they stand in the file: those to find there, and those to write."""


def no_camera(scene: Any, _: str) -> None:
    bpy.data.objects.remove(scene.camera)


def idle_camera(scene: Any, _: str) -> None:
    scene.camera = None


def eevee(scene: Any, _: str) -> None:
    scene.render.engine = "BLENDER_EEVEE_NEXT" if OLD else "BLENDER_EEVEE"


def workbench(scene: Any, _: str) -> None:
    scene.render.engine = "BLENDER_WORKBENCH"


def addon_engine(scene: Any, _: str) -> None:
    class Elsewhere(bpy.types.RenderEngine):
        bl_idname, bl_label = "LUXCORE", "Elsewhere"

    bpy.utils.register_class(Elsewhere)
    scene.render.engine = "LUXCORE"


def addon_nodes(scene: Any, _: str) -> None:
    class Magic(bpy.types.ShaderNode):
        bl_idname, bl_label = "ShaderNodeMagic", "Magic"

        def init(self, context: Any) -> None:
            self.outputs.new("NodeSocketColor", "Color")

    bpy.utils.register_class(Magic)
    tree = bpy.data.materials["paint"].node_tree
    node = tree.nodes.new("ShaderNodeMagic")
    tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])


def addon_settings(scene: Any, _: str) -> None:
    class Fancy(bpy.types.PropertyGroup):
        __annotations__ = {"strength": bpy.props.FloatProperty()}

    bpy.utils.register_class(Fancy)
    bpy.types.Scene.fancy_tool = bpy.props.PointerProperty(type=Fancy)
    scene.fancy_tool.strength = 2.0


def movie_output(scene: Any, _: str) -> None:
    if not OLD:
        scene.render.image_settings.media_type = "VIDEO"
    scene.render.image_settings.file_format = "FFMPEG"


def script(scene: Any, _: str) -> None:
    text = bpy.data.texts.new("startup.py")
    text.write("print('hello')")
    text.use_module = True


def python_driver(scene: Any, _: str) -> None:
    bpy.data.objects["plane"].driver_add("scale", 0).driver.expression = "len(bpy.data.objects) / 3"


def cloth(scene: Any, _: str) -> None:
    bpy.data.objects["plane"].modifiers.new("cloth", "CLOTH")


def rigid_bodies(scene: Any, _: str) -> None:
    bpy.ops.rigidbody.world_add()
    bpy.context.view_layer.objects.active = bpy.data.objects["plane"]
    bpy.ops.rigidbody.object_add(type="ACTIVE")


def empty_rigid_world(scene: Any, _: str) -> None:
    bpy.ops.rigidbody.world_add()


def particles(scene: Any, _: str) -> None:
    """Blender runs them from their start on, whatever frame is asked for."""
    bpy.ops.mesh.primitive_cube_add(size=0.3, location=(0, 0, -9))
    plane, spark = bpy.data.objects["plane"], bpy.context.object
    plane.modifiers.new("sparks", "PARTICLE_SYSTEM")
    settings = plane.particle_systems[0].settings
    settings.count, settings.frame_end, settings.render_type, settings.instance_object = 40, 6, "OBJECT", spark


def hair(scene: Any, _: str) -> None:
    plane = bpy.data.objects["plane"]
    plane.modifiers.new("fur", "PARTICLE_SYSTEM")
    plane.particle_systems[0].settings.type = "HAIR"
    plane.particle_systems[0].settings.count = 20


def swinging_hair(scene: Any, _: str) -> None:
    hair(scene, _)
    bpy.data.objects["plane"].particle_systems[0].use_hair_dynamics = True


def simulation_nodes(scene: Any, _: str) -> None:
    group = bpy.data.node_groups.new("growth", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    start, end = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    before, after = group.nodes.new("GeometryNodeSimulationInput"), group.nodes.new("GeometryNodeSimulationOutput")
    before.pair_with_output(after)
    move = group.nodes.new("GeometryNodeTransform")
    move.inputs["Translation"].default_value = (0, 0, 0.1)
    group.links.new(start.outputs[0], before.inputs[0])
    group.links.new(before.outputs["Geometry"], move.inputs["Geometry"])
    group.links.new(move.outputs[0], after.inputs["Geometry"])
    group.links.new(after.outputs["Geometry"], end.inputs[0])
    bpy.data.objects["plane"].modifiers.new("nodes", "NODES").node_group = group


def heavy(scene: Any, _: str) -> None:
    modifier = bpy.data.objects["plane"].modifiers.new("bomb", "SUBSURF")
    modifier.levels, modifier.render_levels = 0, 11


def default_range(scene: Any, _: str) -> None:
    scene.frame_end = 250


def one_frame(scene: Any, _: str) -> None:
    scene.frame_end = 1


def every_other_frame(scene: Any, _: str) -> None:
    scene.frame_step = 2


def no_frames(scene: Any, _: str) -> None:
    """Blender moves the end along with the start: what it cannot be told is written into the file by flaws.py."""
    scene.frame_start, scene.frame_end = SOUGHT


def too_many_frames(scene: Any, _: str) -> None:
    scene.frame_end = 1_048_574


def frame_number(scene: Any, _: str) -> None:
    scene.frame_start, scene.frame_end = 1_000_000, 1_000_007


def simulations_not_begun(scene: Any, _: str) -> None:
    cloth(scene, _)
    bpy.data.objects["plane"].modifiers["cloth"].point_cache.frame_end = 200
    bpy.data.objects["plane"].modifiers["cloth"].point_cache.frame_start = 100


def more_bundle_than_work(scene: Any, _: str) -> None:
    """Eight small frames; what lies beside the file is what is wrong, and only its size is told."""


def half_resolution(scene: Any, _: str) -> None:
    scene.render.resolution_percentage = 50


def huge(scene: Any, _: str) -> None:
    scene.render.resolution_x = scene.render.resolution_y = 10_000


def resolution(scene: Any, _: str) -> None:
    scene.render.resolution_x = 40_000


def cropped(scene: Any, _: str) -> None:
    scene.render.use_border = scene.render.use_crop_to_border = True
    scene.render.border_max_x = scene.render.border_max_y = 0.5


def two_views(scene: Any, _: str) -> None:
    scene.render.use_multiview = True


def file_outputs(scene: Any, _: str) -> None:
    if OLD:
        scene.use_nodes = True
        group = scene.node_tree
    else:
        group = scene.compositing_node_group = bpy.data.node_groups.new("finish", "CompositorNodeTree")
        group.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        layers, end = group.nodes.new("CompositorNodeRLayers"), group.nodes.new("NodeGroupOutput")
        group.links.new(layers.outputs["Image"], end.inputs[0])
    node = group.nodes.new("CompositorNodeOutputFile")
    layers = next(one for one in group.nodes if one.bl_idname == "CompositorNodeRLayers")
    if OLD:
        node.base_path = "//passes/"
    else:
        node.directory = "//passes/"
        node.file_output_items.new("RGBA", "Image")
    group.links.new(layers.outputs["Image"], node.inputs[0])


def sequencer(scene: Any, _: str) -> None:
    strips = _strips(scene)
    strips.new_effect(name="blue", type="COLOR", channel=1, frame_start=1, **_length(8))


def sound_only(scene: Any, _: str) -> None:
    """A sound strip changes no picture. (The wheel of Blender 4.2 knows no sound.)"""
    strips = _strips(scene)
    if bpy.app.build_options.audaspace:
        strips.new_sound(name="song", filepath="//song.wav", channel=1, frame_start=1)


def denoiser(scene: Any, _: str) -> None:
    """As it lies in a file saved on a machine with an OptiX card: the number of a choice that is not there elsewhere."""
    scene.cycles.use_denoising = True
    if OLD:
        scene.cycles["denoiser"] = 2
    else:
        scene.bl_system_properties_get()["cycles"]["denoiser"] = 2


def gpu_device(scene: Any, _: str) -> None:
    scene.cycles.device = "GPU"


def packed(scene: Any, _: str) -> None:
    image = bpy.data.images.new("large", 4, 4)
    image.pack(data=bytes(PACKED_BYTES), data_len=PACKED_BYTES)
    image.use_fake_user = True


def _strips(scene: Any) -> Any:
    editor = scene.sequence_editor_create() or scene.sequence_editor
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def _length(frames: int) -> dict[str, int]:
    return {"frame_end": 1 + frames} if OLD else {"length": frames}


FLAWS: dict[str, Any] = {
    make.__name__: make
    for make in (
        *(no_camera, idle_camera, eevee, workbench, addon_engine, addon_nodes, addon_settings, movie_output, script),
        *(python_driver, cloth, rigid_bodies, empty_rigid_world, particles, hair, swinging_hair, simulation_nodes, heavy),
        *(default_range, one_frame, every_other_frame, half_resolution, huge, cropped, two_views, file_outputs, sequencer),
        *(sound_only, denoiser, gpu_device, packed, no_frames, too_many_frames, frame_number, simulations_not_begun),
        *(more_bundle_than_work, resolution),
    )
}
