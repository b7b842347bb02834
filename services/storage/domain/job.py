"""A job as storage knows it: whose it is, which bundle, and whether it still takes frames.

open → closed → sealed → packaged → purged. **Why a seal is final** (`closed` and `sealed` are two steps on purpose):

1. A verified frame is first inserted as `arrived`; only *after* that insert is the job read; only if it is still open does the
   frame become `stored`, by a write that is conditional on it being `arrived` still.
2. The sealer first writes `closed`; only *after* that write does it list the job's `arrived` frames and turns each into
   `refused`, conditional in the same way; then it counts `stored` and writes the seal.

Whoever becomes `stored` saw the job open after its insert, so its insert came before `closed`, so the sealer's listing saw it
either `stored` (counted) or `arrived` (and then one of the two conditional writes loses). Whoever inserts after `closed` reads
`closed` and never becomes `stored`. So nothing is stored after the count, without a lock and without waiting. A sealer that
crashed or runs twice repeats the same steps with the same result.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.events import Event, FramesSealed, JobPackaged, JobPurged, JobSubmitted, PackagedFile
from contracts.values import ranges


class JobState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    """Takes no more frames; what it has is being counted."""
    SEALED = "sealed"
    PACKAGED = "packaged"
    PURGED = "purged"


MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.OPEN: frozenset({JobState.CLOSED}),
    JobState.CLOSED: frozenset({JobState.SEALED}),
    JobState.SEALED: frozenset({JobState.PACKAGED, JobState.PURGED}),
    JobState.PACKAGED: frozenset({JobState.PURGED}),
    JobState.PURGED: frozenset(),
}


class Outcome(StrEnum):
    RENDERED = "rendered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Job:
    """`until`: when its files are thrown away, known from the seal on."""

    id: str
    account: str
    name: str
    bundle: str
    state: JobState = JobState.OPEN
    outcome: Outcome | None = None
    fps_milli: int = 24_000
    frames: int = 0
    until: datetime | None = None
    files: tuple[PackagedFile, ...] = ()


Decided = tuple[Job, Sequence[Event]]


def submitted(event: JobSubmitted) -> Job:
    return Job(event.job, event.account, event.name, event.bundle)


def closed(job: Job, outcome: Outcome, fps_milli: int) -> Decided:
    """The first end counts; a later one of another kind changes nothing."""
    if job.state is not JobState.OPEN:
        return job, ()
    return replace(_moved(job, JobState.CLOSED), outcome=outcome, fps_milli=fps_milli), ()


def sealed(job: Job, stored: Sequence[int], until: datetime) -> Decided:
    """`stored`: every frame it has, counted after it was closed."""
    if job.state is not JobState.CLOSED or job.outcome is None:
        return job, ()
    event = FramesSealed(job=job.id, account=job.account, outcome=job.outcome.value, frames=ranges(stored), count=len(stored))
    return replace(_moved(job, JobState.SEALED), frames=len(stored), until=until), (event,)


def packaged(job: Job, files: tuple[PackagedFile, ...], now: datetime, keep: timedelta) -> Decided:
    if job.state is not JobState.SEALED:
        return job, ()
    until = now + keep
    event = JobPackaged(job=job.id, account=job.account, files=files, until=until)
    return replace(_moved(job, JobState.PACKAGED), files=files, until=until), (event,)


def purged(job: Job) -> Decided:
    if job.state not in (JobState.SEALED, JobState.PACKAGED):
        return job, ()
    return replace(_moved(job, JobState.PURGED), files=()), (JobPurged(job=job.id, account=job.account),)


def wants_package(job: Job, rendered_after_acceptance: bool) -> bool:
    """A finished job always. One that was cut short only if rendering had begun: samples of a quote that nobody accepted are
    not handed out."""
    return job.state is JobState.SEALED and (job.outcome is Outcome.RENDERED or rendered_after_acceptance)


def folder(job: Job) -> str:
    """A name every file system takes, for the folder inside the ZIP."""
    plain = re.sub(r"[^\w .-]+", "_", job.name).strip(" ._")[:80]
    return plain or f"job-{job.id}"


def file_name(frame: int, digits: int = 4) -> str:
    """0001.png; -0012.png for negative frames."""
    return f"{'-' if frame < 0 else ''}{abs(frame):0{digits}}.png"


def _moved(job: Job, to: JobState) -> Job:
    if to not in MOVES[job.state]:
        raise ValueError(f"job {job.id} is {job.state} and cannot become {to}")
    return replace(job, state=to)
