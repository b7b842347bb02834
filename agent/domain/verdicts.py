"""From how a container ended to whose fault it was. The table was made by provoking each case with real Blender files."""

from agent.domain.attempt import Ending, completed, failed, released
from contracts.events import Fault, Release

COMPLAINTS = {
    "cannot_open": Fault.SCENE,
    "newer_blender": Fault.SCENE,
    "no_scene": Fault.SCENE,
    "no_camera": Fault.SCENE,
    "engine": Fault.SCENE,
    "cannot_render": Fault.SCENE,
    "cannot_write": Fault.MACHINE,
    "bad_output": Fault.MACHINE,
    "bad_task": Fault.MACHINE,
}
"""`error.code` of the driver's protocol."""

SCENE_EXITS = (3, 4)
CRASHES = {134: "aborted", 139: "crashed (segmentation fault)"}
KILLED, ASKED_TO_STOP = 137, 143


def complaint(code: str, frame: int | None, text: str) -> Ending:
    """The container's own words as an ending, should it exit with an error."""
    return failed(COMPLAINTS.get(code, Fault.MACHINE), f"{code}: {text}", frame)


def verdict(code: int, out_of_memory: bool, memory_bytes: int, done: bool, frame: int | None, said: Ending | None) -> Ending:
    """`done`: it gave all it was asked for; `frame`: the one under way; `said`: its complaint. Not for containers we killed."""
    if out_of_memory:
        return failed(Fault.MEMORY, f"the scene needs more than {memory_bytes / 1e9:.1f} GB of memory", frame)
    if code == 0:
        return completed() if done else failed(Fault.MACHINE, "the container ended without giving what it was asked for", frame)
    if code in (KILLED, ASKED_TO_STOP):
        return released(Release.STOPPED, "the container was stopped from outside")
    if said is not None:
        return said
    if code in CRASHES:
        return failed(Fault.SCENE, f"Blender {CRASHES[code]}", frame)
    fault = Fault.SCENE if code in SCENE_EXITS else Fault.MACHINE
    return failed(fault, f"the renderer ended with exit code {code}", frame)
