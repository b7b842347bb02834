"""From how a container ended to whose fault it was: a pure function of evidence. The table was made by provoking each case with
real Blender files in real containers (tests/failures, docs/decisions/0025).

What Docker and the machine say goes before what the driver says, and that before the log: a full disk or a lowered limit explains
any crash. Words are for people: `text` says what happened, `advice` what to do next, for the renter where the scene is at fault,
else for the lender.
"""

from dataclasses import replace

from agent.domain.attempt import Ending, completed, failed, released
from agent.domain.evidence import Complaint, Evidence, Host, Stage
from agent.domain.logwords import BRING_FILES, LESS_MEMORY, last_line, missing_engine, read_log
from contracts.events import Fault, Release

MB, GB = 1_000_000, 1_000_000_000
LITTLE_DISK_BYTES = 16 * MB
"""With less than this the disk counts as full: Blender needs more for one ordinary picture."""
LITTLE_MEMORY_BYTES = 96 * MB
"""Where the kernel begins to kill; below this the machine as a whole is out of memory."""

OPEN_IN_BLENDER = "Open the file in Blender 5.0, render this frame there, mend what it complains about, and submit again."
RESAVE = "Open the file in Blender 5.0, save it again, look whether it is whole, and submit again."
SAVE_OLDER = "Save it with Blender 5.0 or older and submit again."
FREE_DISK = "Free some disk space."
TELL_THE_FARM = "This is the farm's mistake: tell its operator."
NEW_IMAGE = "Get the render image again (framelend-agent doctor)."

COMPLAINTS = {
    "cannot_open": (Fault.SCENE, "Blender cannot open the file: {said}", RESAVE),
    "newer_blender": (Fault.SCENE, "the file is too new: {said}", SAVE_OLDER),
    "no_scene": (Fault.SCENE, "{said}", "Name a scene that the file has."),
    "no_camera": (Fault.SCENE, "{said}", "Add a camera, make it the active one, and save."),
    "engine": (Fault.SCENE, "{said}", "Set the render engine to Cycles."),
    "missing_file": (Fault.SCENE, "files that the picture needs are not in the upload: {said}", BRING_FILES),
    "unreadable_file": (Fault.SCENE, "files that the picture needs are damaged or no pictures: {said}", BRING_FILES),
    "output_full": (Fault.SCENE, "{said}", "Remove its File Output nodes, or let them write less."),
    "no_picture": (Fault.SCENE, "{said}", "Give the compositor an output (Group Output), or switch it off."),
    "cannot_render": (Fault.SCENE, "Blender could not render: {said}", OPEN_IN_BLENDER),
    "cannot_write": (Fault.MACHINE, "the picture could not be written: {said}", TELL_THE_FARM),
    "bad_output": (Fault.MACHINE, "the picture was not written whole: {said}", TELL_THE_FARM),
    "no_gpu": (Fault.MACHINE, "the GPU cannot be used: {said}", "Look at the driver and NVIDIA's container toolkit."),
    "bad_task": (Fault.MACHINE, "the farm asked for something that makes no sense: {said}", TELL_THE_FARM),
}
"""`error.code` of the driver's protocol: whose fault, what happened, what to do."""

SCENE_EXITS = {3: "Blender cannot open the file", 4: "Blender could not render"}
CRASHES = {134: "Blender gave up (abort)", 136: "Blender crashed (arithmetic)", 139: "Blender crashed (segmentation fault)"}
BROKEN_MACHINE = {
    132: "Blender uses instructions that this machine's processor does not have",
    135: "the disk or the memory of this machine does not read (bus error)",
}
KILLED, ASKED_TO_STOP, ABANDONED, OVERDUE = 137, 143, 90, 91
"""The last two are agent.warden's own."""
FROM_OUTSIDE = {
    KILLED: "the container was killed from outside",
    ASKED_TO_STOP: "the container was stopped from outside",
    ABANDONED: "the agent had gone away",
    OVERDUE: "the container's time was over and nobody had ended it",
}


def verdict(evidence: Evidence) -> Ending:
    """Of a container that ended by itself or by somebody else's doing; not of one that we killed."""
    if evidence.done:
        return completed()  # its pictures are checked; how it leaves is its own business
    for look in (_of_docker, _of_the_driver, _of_the_log, _of_its_exit):
        if ending := look(evidence):
            return ending
    return failed(Fault.MACHINE, f"the renderer ended with exit code {evidence.code}", evidence.frame)


def _of_docker(evidence: Evidence) -> Ending | None:
    host = evidence.host
    if evidence.out_of_memory:
        return _out_of_memory(evidence)
    if evidence.code == KILLED and host.kills and _is_out_of_memory(host):
        return _machine_out_of_memory(evidence)
    if evidence.code in FROM_OUTSIDE:
        return released(Release.STOPPED, FROM_OUTSIDE[evidence.code])
    return None


def _out_of_memory(evidence: Evidence) -> Ending:
    limit = evidence.memory_limit_bytes
    if limit is not None and 0 < limit < evidence.memory_bytes:
        given = f"{evidence.memory_bytes / GB:.1f} GB"
        return released(Release.STOPPED, f"the container's memory was cut from {given} to {limit / GB:.1f} GB while it rendered")
    if _is_out_of_memory(evidence.host):
        return _machine_out_of_memory(evidence)
    text = f"the scene needs more than {evidence.memory_bytes / GB:.1f} GB of memory"
    return replace(failed(Fault.MEMORY, text, evidence.frame), advice=LESS_MEMORY)


def _machine_out_of_memory(evidence: Evidence) -> Ending:
    text = "this machine ran out of memory; the scene was within what was lent to it"
    return replace(failed(Fault.MACHINE, text, evidence.frame), advice="Lend less memory, or close other programs.")


def _is_out_of_memory(host: Host) -> bool:
    return host.least_memory_bytes is not None and host.least_memory_bytes < LITTLE_MEMORY_BYTES


def _of_the_driver(evidence: Evidence) -> Ending | None:
    said = evidence.complaint
    if said is None:
        return None
    fault, text, advice = COMPLAINTS.get(said.code, (Fault.MACHINE, f"{said.code}: {{said}}", TELL_THE_FARM))
    if said.code in ("cannot_write", "bad_output") and _is_full(evidence.host):
        return _disk_full(evidence.host, said.frame)
    if said.code in ("cannot_render", "no_picture") and (found := read_log(f"{evidence.log}\n{said.text}")):
        return replace(failed(found.fault, found.text, said.frame), advice=found.advice)
    text = text.replace("{said}", _plain(said, evidence.log))
    return replace(failed(fault, text, said.frame), advice=advice)


def _plain(said: Complaint, log: str) -> str:
    """Blender's words without what only a programmer wants to know."""
    if said.code == "engine" and (engine := missing_engine(log)):
        return f"the scene renders with {engine}, an add-on's engine that the farm does not have"
    text = said.text.replace("/in/bundle/", "").replace("Error: ", "")
    lines = dict.fromkeys(line.strip() for line in text.splitlines() if line.strip())
    plain = "; ".join(lines) or "it gives no reason"
    return next((f"{words} ({plain})" for part, words in OPENING.items() if part in plain), plain)


OPENING = {
    "File format is not supported": "it is not a .blend",
    "Missing DNA block": "it is damaged or was cut off",
    "incomplete header": "it is damaged or was cut off",
    "No such file": "the upload does not hold it",
}
"""Blender's words when a file does not open, and what they mean."""


def _of_the_log(evidence: Evidence) -> Ending | None:
    """A crash, or a program that never came to speak, is explained by its last lines where they say why."""
    if evidence.code not in (1, *CRASHES):
        return None
    found = read_log(evidence.log)
    if found is not None:
        return replace(failed(found.fault, found.text, evidence.frame), advice=found.advice)
    return _disk_full(evidence.host, evidence.frame) if _is_full(evidence.host) else None


def _of_its_exit(evidence: Evidence) -> Ending | None:
    code, frame = evidence.code, evidence.frame
    if code == 0:
        return failed(Fault.MACHINE, "the container ended without giving what it was asked for", frame)
    if code in BROKEN_MACHINE:
        return failed(Fault.MACHINE, BROKEN_MACHINE[code], frame)
    if code in CRASHES:
        return _crashed(evidence)
    if code in SCENE_EXITS:
        return replace(failed(Fault.SCENE, SCENE_EXITS[code], frame), advice=OPEN_IN_BLENDER)
    if code == 1:
        text = f"our own program in the container failed: {last_line(evidence.log)}"
        return replace(failed(Fault.MACHINE, text, frame), advice=TELL_THE_FARM)
    return None


def _crashed(evidence: Evidence) -> Ending:
    words = CRASHES[evidence.code]
    if evidence.stage is Stage.LOADING:
        return replace(failed(Fault.MACHINE, f"{words} before it had seen the scene"), advice=NEW_IMAGE)
    if evidence.stage is Stage.OPENING:
        return replace(failed(Fault.SCENE, f"{words} while it opened the file"), advice=RESAVE)
    return replace(failed(Fault.SCENE, f"{words} at this frame", evidence.frame), advice=OPEN_IN_BLENDER)


def _is_full(host: Host) -> bool:
    return host.free_disk_bytes is not None and host.free_disk_bytes < LITTLE_DISK_BYTES


def _disk_full(host: Host, frame: int | None) -> Ending:
    left = f"{(host.free_disk_bytes or 0) / MB:.0f} MB"
    return replace(failed(Fault.MACHINE, f"the disk of this machine is full ({left} are free)", frame), advice=FREE_DISK)


def no_container(words: str) -> Ending:
    """Docker answers that it will not, or cannot, make or start one."""
    if "device driver" in words or "capabilities: [[gpu]]" in words or "nvidia" in words.lower():
        advice = "Install the graphics card's container toolkit, or lend the processor only (framelend-agent doctor)."
        return replace(failed(Fault.MACHINE, f"the graphics card cannot be given to a container: {words}"), advice=advice)
    if "No such image" in words:
        return replace(failed(Fault.MACHINE, "the render image is not on this machine any more"), advice=NEW_IMAGE)
    if "no space left" in words.lower():
        return replace(failed(Fault.MACHINE, "the disk of this machine is full: no container can be made"), advice=FREE_DISK)
    return replace(failed(Fault.MACHINE, f"no container could be started: {words}"), advice=NEW_IMAGE)


def no_docker(words: str) -> Ending:
    """Docker does not answer at all."""
    kind = words.removeprefix("docker: ").split(":")[0]
    return replace(failed(Fault.MACHINE, f"Docker does not answer on this machine ({kind})"), advice="Start Docker again.")


def removed() -> Ending:
    """Docker answers that it does not know the container any more."""
    return released(Release.STOPPED, "the container was removed from outside")
