"""What in a .blend costs memory, writes files of its own, or would run code if we let it."""

from __future__ import annotations

from typing import Any

from survey_nodes import node_trees

BASE_BYTES = 260_000_000  # bpy after opening
FLOOR_BYTES = 1_000_000_000
BYTES_PER_PIXEL = 70
BYTES_PER_VERTEX = 600  # a guess; real ones lie around it
MOST = 10**15


def scripts(bpy: Any, scene: Any) -> dict[str, list[dict[str, Any]]]:
    """Code the file carries and files it would write. None of it runs on the farm; renters should know."""
    return {
        "texts": [{"name": text.name, "registered": bool(text.use_module)} for text in bpy.data.texts],
        "scripted_drivers": _drivers(bpy),
        "osl": _nodes(bpy, "ShaderNodeScript"),
        "file_outputs": _file_outputs(scene),
    }


def _drivers(bpy: Any) -> list[dict[str, Any]]:
    found = []
    blocks = list(bpy.data.user_map()) + [tree for _, tree in node_trees(bpy)]
    for block in blocks:
        data = getattr(block, "animation_data", None)
        for curve in data.drivers if data else ():
            driver = curve.driver
            if driver.type == "SCRIPTED" and not driver.is_simple_expression:
                found.append({"owner": block.name, "path": curve.data_path, "expression": driver.expression})
    return found


def _nodes(bpy: Any, kind: str) -> list[dict[str, Any]]:
    trees = node_trees(bpy)
    return [{"owner": owner.name, "node": node.name} for owner, tree in trees for node in tree.nodes if node.bl_idname == kind]


def _file_outputs(scene: Any) -> list[dict[str, Any]]:
    """Those that are fed and would write."""
    group = scene.compositing_node_group if scene.render.use_compositing else None
    nodes = file_output_nodes(group) if group else []
    return [{"owner": group.name, "node": node.name, "path": node.directory} for node in nodes]


def file_output_nodes(group: Any) -> list[Any]:
    writing = (node for node in group.nodes if node.bl_idname == "CompositorNodeOutputFile" and not node.mute)
    return [node for node in writing if any(one.is_linked for one in node.inputs)]


def vertices(scene: Any) -> int:
    """Vertices after subdivision, arrays and hair, without evaluating anything. Shared meshes count once."""
    total, seen = 0, set()
    for thing in scene.objects:
        if thing.hide_render or thing.data is None:
            continue
        factor = _factor(thing)
        if factor == 1 and thing.data in seen:
            continue
        seen.add(thing.data)
        total += _points(thing) * factor + _hair(thing)
    return min(total, MOST)


def _points(thing: Any) -> int:
    if thing.type == "MESH":
        return len(thing.data.vertices)
    splines = getattr(thing.data, "splines", ())
    return sum((len(spline.points) + len(spline.bezier_points)) * max(1, spline.resolution_u) for spline in splines)


def _factor(thing: Any) -> int:
    factor = 1
    for modifier in thing.modifiers:
        if modifier.show_render:
            factor = min(MOST, factor * _growth(modifier))
    return factor


def _growth(modifier: Any) -> int:
    if modifier.type in ("SUBSURF", "MULTIRES"):
        return int(4 ** min(20, max(0, modifier.render_levels)))
    if modifier.type == "ARRAY":
        return max(1, int(modifier.count)) if modifier.fit_type == "FIXED_COUNT" else 1
    if modifier.type == "MIRROR":
        return int(2 ** sum(modifier.use_axis))
    if modifier.type == "SCREW":
        return max(1, int(modifier.render_steps))
    return 2 if modifier.type == "SOLIDIFY" else 1


def _hair(thing: Any) -> int:
    total = 0
    for system in thing.particle_systems:
        settings = system.settings
        if settings.type == "HAIR" and settings.render_type == "PATH":
            children = settings.rendered_child_count if settings.child_type != "NONE" else 1
            total += min(MOST, settings.count * max(1, children) * 2 ** min(20, settings.render_step))
    return total


def memory_guess(pixels: int, image_bytes: int, points: int) -> int:
    """Bytes a container should get: base, pixels, decoded images with mip levels, geometry; at least 1 GB."""
    return max(FLOOR_BYTES, BASE_BYTES + BYTES_PER_PIXEL * pixels + image_bytes * 3 // 2 + BYTES_PER_VERTEX * points)
