"""What is known of a container that has ended and of the machine it ran on: all that a verdict may rest on."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far a container had come."""

    LOADING = "loading"
    """Blender has not spoken yet."""
    OPENING = "opening"
    """Blender is there and reads the scene."""
    RENDERING = "rendering"


@dataclass(frozen=True)
class Complaint:
    """The driver's own `error` event."""

    code: str
    frame: int | None
    text: str


@dataclass(frozen=True)
class Host:
    """The lender's machine, as the agent saw it. None where it cannot be known."""

    free_disk_bytes: int | None = None
    """Where pictures are written, when the container had ended."""
    least_memory_bytes: int | None = None
    """The least that was available to new programs while the container ran."""
    kills: int = 0
    """Processes that the kernel has killed for want of memory while the container ran, anywhere on the machine."""


UNSEEN = Host()
"""Nobody looked."""


@dataclass(frozen=True)
class Room:
    """What a machine has left for a container to compute with, both counted upwards since some time in the past."""

    idle_seconds: float
    """Of all its cores together: nobody wanted them."""
    held_back_seconds: float
    """In which its quota did not let the container compute, or programs of this machine waited for a disk, perhaps it."""


@dataclass(frozen=True)
class Evidence:
    """`frame`: the one under way; `done`: it gave all it was asked for; `log`: the end of its stderr.

    The log and the complaint are the scene's words as much as Blender's. They may move a failure between the scene, its memory
    and the machine, but never make an interruption of it: that rests on what Docker and the machine say.
    """

    code: int
    out_of_memory: bool
    """By Docker's word: the kernel has killed in this container for want of memory."""
    memory_bytes: int
    """What the container was given."""
    done: bool
    frame: int | None
    stage: Stage = Stage.RENDERING
    complaint: Complaint | None = None
    log: str = ""
    memory_limit_bytes: int | None = None
    """What it might use at its end, as Docker says."""
    host: Host = UNSEEN
