"""Work longer than a message may take: a document that one worker at a time holds under a lease.

A task that fails for the world's reasons waits and tries on for ever. One that fails for ours is tried five times where somebody
waits for it: he is told, and it is given up. Where nobody does it is tried on, every minute, until what is wrong is mended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

LEASE = timedelta(seconds=60)
LONGEST = timedelta(seconds=60)
"""Between two tries."""
TRIES = 5


class TaskKind(StrEnum):
    BUNDLE = "bundle"
    """subject: the upload whose bytes are to be verified."""
    FRAMES = "frames"
    """subject: an attempt; body: the event with frames too large to verify while a message waits."""
    PACKAGE = "package"
    PURGE = "purge"


LANES: tuple[tuple[TaskKind, ...], ...] = (
    (TaskKind.FRAMES,),
    (TaskKind.BUNDLE,),
    (TaskKind.PACKAGE, TaskKind.PURGE),
)
"""Each has workers of its own, so that a long film never keeps a renter's upload waiting."""


@dataclass(frozen=True)
class Task:
    """Free when `leased_until` is past. `tries` counts failures that were ours."""

    id: str
    kind: TaskKind
    subject: str
    body: str = ""
    tries: int = 0
    not_before: datetime | None = None
    leased_until: datetime | None = None
    holder: str = ""
    problem: str = ""
    given_up: bool = False
    trace: Mapping[str, str] = field(default_factory=dict)
    """W3C trace context of what asked for it."""


def delay(kind: TaskKind, tries: int) -> timedelta:
    """Before the next try, of which `tries` counted: 1 s, 4 s, 16 s, then a minute. A purge, for which nobody waits, a minute at
    once: what a store refuses to delete must not keep packages waiting."""
    if kind is TaskKind.PURGE:
        return LONGEST
    return min(LONGEST, timedelta(seconds=4 ** min(max(0, tries - 1), TRIES)))


def is_last(task: Task) -> bool:
    """Whether one more failure of ours is one too many."""
    return task.tries + 1 >= TRIES
