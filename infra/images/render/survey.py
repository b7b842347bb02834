"""Says what is true of one .blend, without running anything in it: ONE JSON object on standard output.

Facts only. What a fact means for a job is decided by rules elsewhere, so that rules change without a new image.
(The name is not `inspect`: beside a script that would hide the standard library's module.)
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

import survey_lacks
from events import overheard, take_stdout
from survey_files import Files
from survey_moves import last_key, simulated_from, unbaked_simulations
from survey_risks import memory_guess, scripts, vertices
from survey_scene import scene_facts
from survey_shots import shots
from task import BadTask, Settings, Task, read_task

LIST_ENTRIES = 200
STRING_CHARACTERS = 300


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0, 2 (bad task) or 3 (cannot be opened)."""
    out = take_stdout()
    try:
        report, code = survey(read_task(arguments))
    except BadTask as error:
        report, code = _error("bad_task", str(error)), 2
    used = resource.getrusage(resource.RUSAGE_SELF)
    report["cpu_seconds"] = round(used.ru_utime + used.ru_stime, 3)
    out.write(json.dumps(bounded(report), allow_nan=False) + "\n")
    out.flush()
    return code


def survey(task: Task) -> tuple[dict[str, Any], int]:
    """The report and the exit code."""
    import bpy  # only now: file descriptor 1 is ours

    try:
        with overheard() as said:
            bpy.ops.wm.open_mainfile(filepath=task.blend, load_ui=False, use_scripts=False)
    except RuntimeError as error:
        return _error("cannot_open", str(error).strip()), 3
    scene = _scene(bpy, task.settings)
    if scene is None:
        return _error("no_scene", f"the file has no scene named {task.settings.scene!r}"), 3
    facts = _file_facts(bpy, task.blend) | _content(bpy, scene)
    facts["scene"]["engine"] = survey_lacks.engine_of_addon(said[0], scene) or facts["scene"]["engine"]
    return facts, 0


def _scene(bpy: Any, settings: Settings) -> Any:
    scene = bpy.context.scene if settings.scene is None else bpy.data.scenes.get(settings.scene)
    if scene is not None and settings.camera is not None:
        scene.camera = scene.objects.get(settings.camera)
    return scene


def _error(code: str, text: str) -> dict[str, Any]:
    return {"survey": 1, "error": {"code": code, "text": text}}


def _file_facts(bpy: Any, blend: str) -> dict[str, Any]:
    return {
        "survey": 1,
        "blender": ".".join(str(part) for part in bpy.app.version),
        "saved_by": ".".join(str(part) for part in bpy.data.version),
        "newer_than_us": tuple(bpy.data.version) > tuple(bpy.app.version_file),
        "file_bytes": os.path.getsize(blend),
        "scenes": [scene.name for scene in bpy.data.scenes],
    }


def _content(bpy: Any, scene: Any) -> dict[str, Any]:
    facts = scene_facts(scene)
    files = Files(bpy, scene)
    listed = files.listed()
    risks = scripts(bpy, scene)
    points = vertices(scene)
    pixels = facts["picture_width"] * facts["picture_height"]
    return {
        "scene": facts,
        "files": listed,
        "files_total": len(listed),
        "files_missing_used": sum(1 for file in listed if file["used"] and not file["exists"]),
        **risks,
        "autoexec_fail": bool(bpy.app.autoexec_fail),
        "autoexec_message": str(bpy.app.autoexec_fail_message),
        **_lacks(bpy, scene, files),
        "unbaked_simulations": unbaked_simulations(scene, files.used()),
        "simulated_from": simulated_from(scene, files.used()),
        "last_key": last_key(bpy, scene, files.used()),
        "shots": shots(scene),
        "vertices": points,
        "image_bytes": files.image_bytes,
        "packed_bytes": files.packed_bytes,
        "memory_bytes": memory_guess(pixels, files.image_bytes, points),
    }


def _lacks(bpy: Any, scene: Any, files: Files) -> dict[str, Any]:
    return {
        "gaps": survey_lacks.sequence_gaps(bpy, scene, files),
        "missing_blocks": survey_lacks.missing_blocks(bpy, files),
        "addons": survey_lacks.addons(bpy, files),
        "addon_data": survey_lacks.addon_data(scene),
    }


def bounded(report: dict[str, Any]) -> dict[str, Any]:
    """Lists to 200 entries, strings to 300 characters, the names of shortened lists under `cut`."""
    cut: set[str] = set()
    small = {name: _bounded(name, value, cut) for name, value in report.items()}
    return {**small, "cut": sorted(cut)} if "error" not in report else small


def _bounded(name: str, value: Any, cut: set[str]) -> Any:
    if isinstance(value, str):
        return value[:STRING_CHARACTERS]
    if isinstance(value, dict):
        return {key: _bounded(key, inner, cut) for key, inner in value.items()}
    if isinstance(value, list):
        if len(value) > LIST_ENTRIES:
            cut.add(name)
        return [_bounded(name, inner, cut) for inner in value[:LIST_ENTRIES]]
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
