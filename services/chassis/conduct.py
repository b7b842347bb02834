"""How a sender behaves, in numbers: what it may say in a second and at once, and when it is too much.

Theory. Each sender has three buckets that leak: events, bytes, faulty events. What it says fills them, time empties them; one
that runs over is an offence. The limits lie above what the busiest honest agent says and far below what one process can throw
away: who passes them is known within a tenth of a second. What waited for us while we were deaf comes all at once and is nobody's
fault: then it weighs less.
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
    """Of one sender at one process. 64 slots of frames that take a second each say 64 events of each kind a second."""

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
    patience: float = 100
    """What waited while we were deaf weighs so many times less."""


@dataclass(frozen=True)
class Conduct:
    """Levels of the buckets as of `at` (monotonic seconds); `said` counts everything ever."""

    at: float
    events: float = 0
    bytes: float = 0
    faults: float = 0
    said: int = 0
    faulty: int = 0


def spoke(before: Conduct, size: int, now: float, limits: Limits, was_deaf: bool = False) -> Conduct:
    """One message of `size` bytes more."""
    weight = 1 / limits.patience if was_deaf else 1.0
    seconds = max(0.0, now - before.at)
    events = _leaked(before.events, limits.events_per_second, seconds) + weight
    volume = _leaked(before.bytes, limits.bytes_per_second, seconds) + size * weight
    return replace(
        before,
        at=max(now, before.at),
        events=min(events, limits.events_burst + limits.events_per_second * limits.memory_seconds),
        bytes=min(volume, limits.bytes_burst + limits.bytes_per_second * limits.memory_seconds),
        faults=_leaked(before.faults, limits.faults_per_second, seconds),
        said=before.said + 1,
    )


def erred(before: Conduct, limits: Limits) -> Conduct:
    """The last message was its fault."""
    most = limits.faults_burst + limits.faults_per_second * limits.memory_seconds
    return replace(before, faults=min(before.faults + 1, most), faulty=before.faulty + 1)


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
