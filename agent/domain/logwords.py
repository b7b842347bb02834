"""What lines in Blender's log mean. Each was provoked here (tests/failures) or stands in the source that is named.

The last lines count: what went wrong is said at the end. A line of memory goes before one of the machine, for the second often
follows from the first.
"""

import re
from dataclasses import dataclass

from contracts.events import Fault

LAST_LINES = 60


@dataclass(frozen=True)
class LogWord:
    """`text` may name the pattern's groups."""

    pattern: re.Pattern[str]
    fault: Fault
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Found:
    fault: Fault
    text: str
    advice: str


LESS_MEMORY = "Use smaller textures, less subdivision or a lower resolution."
BRING_FILES = "Pack it into the file (File > External Data > Pack Resources), or put it where the path says, and submit again."
NO_MEMORY = "Blender could not get the memory it needs"
UNWRITABLE = "the output folder cannot be written"


def _word(pattern: str, fault: Fault, text: str, advice: str = "") -> LogWord:
    return LogWord(re.compile(pattern, re.MULTILINE), fault, text, advice)


WORDS = (
    # intern/cycles/device/device.cpp, GPUDevice::generic_alloc
    _word(
        r"System is out of GPU(?: and shared host)? memory|Out of memory in (?:CUDA|HIP) queue",
        Fault.MEMORY,
        "the scene needs more memory than the graphics card has",
        LESS_MEMORY,
    ),
    # intern/guardedalloc/intern/mallocn_lockfree_impl.cc: "Malloc returns null: len=… in …, total …"
    _word(r"^(?:Malloc|Calloc|Aligned malloc) returns null", Fault.MEMORY, NO_MEMORY, LESS_MEMORY),
    _word(r"std::bad_alloc|^MemoryError", Fault.MEMORY, NO_MEMORY, LESS_MEMORY),
    # Cycles when an allocation fails: the render operator raises with it
    _word(r"(?:ERROR|Error:) Out of memory", Fault.MEMORY, NO_MEMORY, LESS_MEMORY),
    # intern/cycles/device/cuda/queue.cpp and hip/queue.cpp: "<CUDA's words> in CUDA queue <operation> (<kernels>)"
    _word(
        r"(?P<what>[A-Z][\w ]{2,60}) in (?P<kind>CUDA|HIP|oneAPI|Metal) queue",
        Fault.MACHINE,
        "the graphics card gave up ({kind}: {what})",
        "Update the graphics driver; if it happens with other scenes too, lend the processor only.",
    ),
    # intern/cycles/device/{cuda,optix,hip}/device_impl.cpp
    _word(
        r"(?P<what>(?:Failed to (?:create|load) )?(?:CUDA|Opti[xX]|HIP) (?:\w+ )?(?:error|failed|context|kernel)\b)",
        Fault.MACHINE,
        "the graphics card cannot be used ({what})",
        "Check the graphics driver and that containers may use the card (framelend-agent doctor).",
    ),
    # libtbb and libstdc++ when the bound on processes is reached: abort follows
    _word(
        r"pthread_create has failed|Resource temporarily unavailable|can't start new thread",
        Fault.MACHINE,
        "no more processes could be started",
        "The container's bound on processes is too low for this many cores: tell the farm.",
    ),
    _word(r"No space left on device|Disk quota exceeded", Fault.MACHINE, "the disk is full", "Free some disk space."),
    _word(r"Input/output error", Fault.MACHINE, "the disk does not read or write", "Check the disk."),
    _word(r"Read-only file system", Fault.MACHINE, UNWRITABLE, "Check the disk of the agent's folder."),
    _word(
        r"^ModuleNotFoundError: .{0,120}|^ImportError: .{0,120}",
        Fault.MACHINE,
        "Blender does not load in its container",
        "Get the render image again.",
    ),
)
ENGINE_MISSING = re.compile(r"Engine '(?P<engine>[\w .-]{1,60})' not available")
"""Blender opens such a file with another engine and goes on."""


def read_log(log: str) -> Found | None:
    """The first word of the table that the log's end has."""
    end = "\n".join(log.splitlines()[-LAST_LINES:])
    for word in WORDS:
        if found := word.pattern.search(end):
            named = {name: str(value).strip() for name, value in found.groupdict().items()}
            return Found(word.fault, word.text.format(**named), word.advice)
    return None


def missing_engine(log: str) -> str | None:
    """The engine that the file asks for, where Blender has said that it does not have it."""
    found = ENGINE_MISSING.search(log)
    return found.group("engine") if found else None


def last_line(log: str) -> str:
    """The last line that says anything, for people."""
    said = [line.strip() for line in log.splitlines() if line.strip()]
    return said[-1][:200] if said else ""
