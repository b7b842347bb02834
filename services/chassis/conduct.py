"""How a sender behaves, in numbers: what it may say in a second and at once, and when it is too much.

Theory. Each sender has three buckets that leak: events, bytes, faulty events. What it says fills them, time empties them; one
that runs over is an offence. The limits lie above what the busiest honest agent says and far below what one process can throw
away: who passes them is known within a tenth of a second. What waited for us while we were deaf comes all at once and is nobody's
fault: so much of it is free, once for each silence.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from contracts.topology import AGENT_EVENTS_PER_SECOND


class Offence(StrEnum):
    EVENTS = "too many events"
    BYTES = "too many bytes"
    FAULTS = "too many faulty events"


@dataclass(frozen=True)
class Limits:
    """Of one sender at one process. Forty slots of frames that take a second each say about 80 events a second."""

    events_per_second: float = AGENT_EVENTS_PER_SECOND
    events_burst: float = 200
    """Agents pace what they say, also what they have kept while they were cut off: a second's worth at once at the most. The
    rest of this is for what an agent says beside it, and says again after a restart."""
    bytes_per_second: float = 1 << 20
    bytes_burst: float = 16 << 20
    faults_per_second: float = 2
    faults_burst: float = 100
    memory_seconds: float = 10
    """A bucket never holds more than its burst and what leaks in this time: whoever falls silent is heard again after it."""
    excused_events: int = 10_000
    """So many events of one sender are free when they come after a silence of ours: they have waited for us. Two minutes of
    the busiest agent, an hour of most. What comes beyond them is counted like any other, however long we were deaf."""
    excused_bytes: float = 128 << 20


@dataclass(frozen=True)
class Conduct:
    """Levels of the buckets as of `at` (monotonic seconds); `said` counts everything ever."""

    at: float
    events: float = 0
    bytes: float = 0
    faults: float = 0
    said: int = 0
    faulty: int = 0
    excused: int = 0
    excused_bytes: int = 0
    """What was let pass since we were last deaf."""


def as_of(before: Conduct, now: float, limits: Limits) -> Conduct:
    """What is left in the buckets when nothing was said since."""
    seconds = max(0.0, now - before.at)
    return replace(
        before,
        at=max(now, before.at),
        events=_leaked(before.events, limits.events_per_second, seconds),
        bytes=_leaked(before.bytes, limits.bytes_per_second, seconds),
        faults=_leaked(before.faults, limits.faults_per_second, seconds),
    )


def spoke(before: Conduct, size: int, now: float, limits: Limits, was_deaf: bool = False) -> Conduct:
    """One message of `size` bytes more."""
    left = as_of(before, now, limits)
    if was_deaf and left.excused < limits.excused_events and left.excused_bytes + size <= limits.excused_bytes:
        return replace(left, said=left.said + 1, excused=left.excused + 1, excused_bytes=left.excused_bytes + size)
    return _counted(left if was_deaf else replace(left, excused=0, excused_bytes=0), size, limits)


def _counted(left: Conduct, size: int, limits: Limits) -> Conduct:
    return replace(
        left,
        events=min(left.events + 1, limits.events_burst + limits.events_per_second * limits.memory_seconds),
        bytes=min(left.bytes + size, limits.bytes_burst + limits.bytes_per_second * limits.memory_seconds),
        said=left.said + 1,
    )


def erred(before: Conduct, now: float, limits: Limits) -> Conduct:
    """A message turned out to be its fault."""
    left, most = as_of(before, now, limits), limits.faults_burst + limits.faults_per_second * limits.memory_seconds
    return replace(left, faults=min(left.faults + 1, most), faulty=left.faulty + 1)


def offence(conduct: Conduct, limits: Limits) -> Offence | None:
    """What is too much, the first of them."""
    if conduct.faults > limits.faults_burst:
        return Offence.FAULTS
    if conduct.events > limits.events_burst:
        return Offence.EVENTS
    return Offence.BYTES if conduct.bytes > limits.bytes_burst else None


def is_forgotten(conduct: Conduct, now: float, limits: Limits) -> bool:
    """Nothing is left in any bucket: the sender is like one never heard."""
    seconds = now - conduct.at
    return (
        conduct.events <= limits.events_per_second * seconds
        and conduct.bytes <= limits.bytes_per_second * seconds
        and conduct.faults <= limits.faults_per_second * seconds
    )


def _leaked(level: float, per_second: float, seconds: float) -> float:
    return max(0.0, level - per_second * seconds)
