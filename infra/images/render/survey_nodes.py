"""Which nodes of a tree can show in a picture: those that lead to its output."""

from __future__ import annotations

from typing import Any


def node_trees(bpy: Any) -> list[tuple[Any, Any]]:
    """Every node tree with the data-block that owns it (a node group owns itself)."""
    data = bpy.data
    owners = [*data.materials, *data.worlds, *data.lights, *data.linestyles, *data.textures]
    trees = [(owner, owner.node_tree) for owner in owners if getattr(owner, "node_tree", None)]
    return trees + [(group, group) for group in data.node_groups]


class Shown:
    """Remembers each tree, so that a thousand images in one tree cost one walk."""

    def __init__(self) -> None:
        self._known: dict[int, set[str]] = {}

    def has(self, tree: Any, node: Any) -> bool:
        """False for a muted node, one that leads nowhere, or one that leads to nothing rendered."""
        key = tree.as_pointer()
        if key not in self._known:
            self._known[key] = _leading(tree)
        return not node.mute and node.name in self._known[key]


def _leading(tree: Any) -> set[str]:
    """Names of the nodes on a way to an output. Geometry has ways that no link shows, so there every linked node counts."""
    if tree.bl_idname not in ("ShaderNodeTree", "CompositorNodeTree"):
        return {node.name for node in tree.nodes if any(output.is_linked for output in node.outputs)}
    before: dict[str, list[str]] = {}
    for link in tree.links:
        if not link.is_muted:
            before.setdefault(link.to_node.name, []).append(link.from_node.name)
    for node in tree.nodes:
        if end := getattr(node, "paired_output", None):  # of a zone
            before.setdefault(end.name, []).append(node.name)
    seen: set[str] = set()
    waiting = [node.name for node in _outputs(tree)]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += before.get(name, [])
    return seen


def _outputs(tree: Any) -> list[Any]:
    """Nodes without outputs are what a tree is for; of several materials' outputs Cycles takes one."""
    ends = [node for node in tree.nodes if not node.outputs and node.inputs and not node.mute and "Viewer" not in node.bl_idname]
    if tree.bl_idname == "ShaderNodeTree" and (chosen := tree.get_output_node("CYCLES")):
        return [node for node in ends if node == chosen or not node.bl_idname.startswith("ShaderNodeOutput")]
    return ends
