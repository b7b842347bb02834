"""Renders a list of frames of one .blend inside the locked container. PROTOCOL.md says what goes in and what comes out.

One `render()` per frame, not one animation: a chunk's frames need not be neighbours, and each gets its own time and error.
Scripts in the file stay off: the renter's file is hostile to the lender's machine until proven otherwise.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any

import changes
import device
from events import Progress, hand_over, say, take_stdout
from needs import Lacking, Needs
from task import SUFFIXES, BadTask, Settings, Task, read_task

PROTOCOL = 2
USE_SCRIPTS = False  # no task reaches this; a test turns it on to prove that it is what holds
LITTLE = 64 << 10
OUT = os.environ.get("FRAMELEND_OUT", "/out")  # in the container's memory; a finished picture leaves it on stdout


class Stop(Exception):
    """Ends the run: exit code, error code, frame, words."""

    def __init__(self, exit_code: int, code: str, text: str, frame: int | None = None) -> None:
        super().__init__(text)
        self.exit_code, self.code, self.frame = exit_code, code, frame


def main(arguments: list[str]) -> int:
    """Returns the exit code; says everything as events."""
    out = take_stdout()
    try:
        task = read_task(arguments)
        if not task.frames:
            raise BadTask("frames: empty")
        _run(out, task)
    except BadTask as error:
        say(out, "error", code="bad_task", frame=None, text=str(error)[:300])
        return 2
    except Stop as stop:
        say(out, "error", code=stop.code, frame=stop.frame, text=str(stop)[:300])
        return stop.exit_code
    say(out, "done", frames=len(task.frames))
    return 0


def _run(out: Any, task: Task) -> None:
    import bpy  # only now: file descriptor 1 is ours

    say(out, "hello", protocol=PROTOCOL, blender=".".join(str(part) for part in bpy.app.version))
    _open(bpy, out, task.blend)
    scene = _scene(bpy, task.settings)
    _apply(scene, task)
    try:
        device.use(bpy, scene, task.gpu)
    except device.NoGpu as error:
        raise Stop(5, "no_gpu", str(error)) from error
    if not os.access(OUT, os.W_OK):
        raise Stop(5, "cannot_write", f"{OUT} cannot be written to")
    needs = _needs(bpy, scene)
    progress = Progress(out)
    bpy.app.handlers.render_stats.append(progress)
    steps = _steps(bpy, scene, task, progress)
    for frame in sorted(task.frames) if steps else task.frames:
        progress.frame = frame
        if steps:
            steps.to(frame)
        _give(out, frame, _render(bpy, scene, frame, SUFFIXES[task.settings.format], needs))


def _steps(bpy: Any, scene: Any, task: Task, progress: Progress) -> changes.Steps | None:
    if "step-simulations" not in task.settings.changes:
        return None
    return changes.Steps(bpy, scene, lambda step: progress(f"Simulating frame {step}"))


def _open(bpy: Any, out: Any, blend: str) -> None:
    began = time.monotonic()
    try:
        bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=USE_SCRIPTS)
    except RuntimeError as error:
        raise Stop(3, "cannot_open", str(error).strip()) from error
    if tuple(bpy.data.version) > tuple(bpy.app.version_file):
        saved = ".".join(str(part) for part in bpy.data.version)
        raise Stop(3, "newer_blender", f"saved by Blender {saved}, this is {bpy.app.version_string}")
    message = str(bpy.app.autoexec_fail_message)[:300]
    blocked = bool(bpy.app.autoexec_fail)
    say(out, "opened", autoexec_fail=blocked, message=message, seconds=round(time.monotonic() - began, 3))


def _scene(bpy: Any, settings: Settings) -> Any:
    scene = bpy.context.scene if settings.scene is None else bpy.data.scenes.get(settings.scene)
    if scene is None:
        raise Stop(4, "no_scene", f"the file has no scene named {settings.scene!r}")
    if settings.camera is not None:
        scene.camera = scene.objects.get(settings.camera)
    changes.make(scene, settings.changes)
    if scene.camera is None and not any(marker.camera for marker in scene.timeline_markers):
        raise Stop(4, "no_camera", f"scene {scene.name!r} has no camera {settings.camera or ''}".rstrip())
    if scene.render.engine != "CYCLES":
        raise Stop(4, "engine", f"scene {scene.name!r} renders with {scene.render.engine}, here is only CYCLES")
    return scene


def _apply(scene: Any, task: Task) -> None:
    """Sets what the job decides and what the farm needs; the artist's seed, denoiser and the like stay."""
    render, settings = scene.render, task.settings
    render.resolution_x = settings.width or render.resolution_x
    render.resolution_y = settings.height or render.resolution_y
    percentage = settings.percentage or render.resolution_percentage
    render.resolution_percentage = max(1, percentage * task.scale_percent // 100)
    scene.cycles.samples = settings.samples or scene.cycles.samples
    scene.cycles.device = "CPU"
    image = render.image_settings
    image.media_type = "IMAGE"  # Blender 5: a scene set to video would refuse the next line
    image.file_format = settings.format
    image.color_depth = settings.color_depth
    if settings.format == "OPEN_EXR":
        image.exr_codec = "ZIP"
    else:
        image.compression = 15
    render.use_overwrite, render.use_placeholder, render.use_file_extension = True, False, True
    render.metadata_input = "SCENE"  # that of a strip's picture may say that this one is to be turned
    for field in render.bl_rna.properties:
        if field.identifier.startswith("use_stamp_"):  # else paths and times of this machine lie in the picture
            setattr(render, field.identifier, False)


def _needs(bpy: Any, scene: Any) -> Needs:
    needs = Needs(bpy, scene)
    try:
        needs.check()
    except Lacking as lacking:
        raise Stop(4, lacking.code, str(lacking)) from lacking
    return needs


def _render(bpy: Any, scene: Any, frame: int, suffix: str, needs: Needs) -> dict[str, object]:
    name = f"{'-' if frame < 0 else ''}{abs(frame):06d}"
    cpu, began = _cpu_seconds(), time.monotonic()
    scene.frame_set(frame)
    if scene.camera is None:
        raise Stop(4, "no_camera", f"no camera at frame {frame}", frame)
    try:
        needs.check_frame(frame)
    except Lacking as lacking:
        raise Stop(4, lacking.code, str(lacking), frame) from lacking
    scene.render.filepath = f"{OUT}/{name}"
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        if "cannot save" in str(error):
            raise _unwritten("cannot_write", str(error), frame, f"{OUT}/{name}{suffix}") from error
        raise Stop(4, "cannot_render", str(error), frame) from error
    path = f"{OUT}/{name}{suffix}"
    if not os.path.exists(path):
        raise Stop(4, "no_picture", "Blender ended without writing a picture: has the compositor an output?", frame)
    picture = _read_back(path, frame)
    return {
        "path": path,
        "seconds": round(time.monotonic() - began, 3),
        "cpu_seconds": round(_cpu_seconds() - cpu, 3),
        "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **picture,
    }


def _read_back(path: str, frame: int) -> dict[str, object]:
    """Decodes all of it: Blender calls it a success when the disk was full."""
    from pictures import BadPicture, read_picture

    try:
        return dict(vars(read_picture(path)))
    except (BadPicture, OSError) as error:
        stop = _unwritten("bad_output", str(error), frame, path)
        os.unlink(path)
        raise stop from error


def _unwritten(code: str, text: str, frame: int, path: str) -> Stop:
    """The room for pictures is bounded; when other files of the scene have taken it, that is the scene's doing."""
    room = os.statvfs(OUT)
    others = sum(os.lstat(entry.path).st_size for entry in os.scandir(OUT) if entry.path != path)
    if room.f_bavail * room.f_frsize < LITTLE and others > LITTLE:
        return Stop(4, "output_full", f"the scene itself has written {others >> 20} MiB of other files to its output", frame)
    return Stop(5, code, text, frame)


def _give(out: Any, frame: int, picture: dict[str, Any]) -> None:
    """Says it and hands its bytes over; what memory it took is free again."""
    say(out, "frame", frame=frame, **picture)
    hand_over(out, picture["path"], picture["bytes"])
    os.unlink(picture["path"])


def _cpu_seconds() -> float:
    """User and system seconds of this process and of its children that ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
