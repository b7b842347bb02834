"""A delivered frame: what storage keeps of it, and which of several deliveries counts.

One record per job and frame. arrived → stored | refused. The first insert wins; another attempt may take over a record that has
been `arrived` for minutes (its maker crashed in between), never one that is stored. Theory of the seal: `domain.job`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.events import Event, FramesRejected, FramesStored, FramesSuperfluous, RejectedFrame, StoredFrame
from contracts.grants import Grant
from contracts.values import Kind


class FrameState(StrEnum):
    ARRIVED = "arrived"
    """Verified; not yet known whether the job still took it."""
    STORED = "stored"
    REFUSED = "refused"
    """The job was closed in the same moment."""


MOVES: dict[FrameState, frozenset[FrameState]] = {
    FrameState.ARRIVED: frozenset({FrameState.STORED, FrameState.REFUSED}),
    FrameState.STORED: frozenset(),
    FrameState.REFUSED: frozenset(),
}


@dataclass(frozen=True)
class FrameRecord:
    """Hashes and sizes are storage's own; `cpu_micros` and `seconds` are the agent's claim."""

    job: str
    frame: int
    attempt: str
    chunk: str
    agent: str
    kind: Kind
    generation: int
    version: int
    file_sha256: str
    pixel_sha256: str
    bytes: int
    thumbnail_sha256: str
    thumbnail_bytes: int
    cpu_micros: int
    seconds: float
    arrived_at: datetime
    state: FrameState = FrameState.ARRIVED

    @property
    def id(self) -> str:
        return record_id(self.job, self.frame)

    @property
    def key(self) -> str:
        return f"frames/{self.job}/{self.frame}-{self.file_sha256}.png"

    @property
    def thumbnail_key(self) -> str:
        return f"thumbnails/{self.job}/{self.frame}-{self.file_sha256}.webp"


@dataclass(frozen=True)
class Claim:
    """What an agent said of a file before it uploaded it."""

    attempt: str
    frame: int
    file_sha256: str
    pixel_sha256: str
    bytes: int
    cpu_micros: int
    seconds: float


@dataclass(frozen=True)
class Refusal:
    """A delivery that was not kept, on the record. `code` is `superfluous` for a good picture that came second."""

    job: str
    frame: int
    attempt: str
    agent: str
    code: str
    at: datetime


class Standing(StrEnum):
    """Where a delivery stands towards the frame's record."""

    FIRST = "first"
    RESUMED = "resumed"
    """This attempt's own record, still arrived."""
    PENDING = "pending"
    """Another's is still arrived: it will be known in a moment what becomes of it."""
    TAKES_OVER = "takes_over"
    """Another's has been arrived for so long that its maker must have crashed."""
    REPEATED = "repeated"
    """This attempt's frame is stored already."""
    SECOND = "second"
    """Another attempt's is."""
    CLOSED = "closed"


ABANDONED_AFTER = timedelta(minutes=2)


def standing(record: FrameRecord | None, attempt: str, file_sha256: str, now: datetime) -> Standing:
    if record is None:
        return Standing.FIRST
    if record.state is FrameState.REFUSED:
        return Standing.CLOSED
    if record.state is FrameState.STORED:
        return Standing.REPEATED if record.attempt == attempt else Standing.SECOND
    if record.attempt == attempt and record.file_sha256 == file_sha256:
        return Standing.RESUMED
    return Standing.TAKES_OVER if now - record.arrived_at > ABANDONED_AFTER else Standing.PENDING


def record(grant: Grant, claim: Claim, pixel_sha256: str, thumbnail: tuple[str, int], now: datetime) -> FrameRecord:
    """Of bytes that were verified; `thumbnail` is its hash and size."""
    return FrameRecord(
        job=grant.job,
        frame=claim.frame,
        attempt=grant.attempt,
        chunk=grant.chunk,
        agent=grant.agent,
        kind=grant.kind,
        generation=grant.generation,
        version=grant.version,
        file_sha256=claim.file_sha256,
        pixel_sha256=pixel_sha256,
        bytes=claim.bytes,
        thumbnail_sha256=thumbnail[0],
        thumbnail_bytes=thumbnail[1],
        cpu_micros=claim.cpu_micros,
        seconds=claim.seconds,
        arrived_at=now,
    )


def stored(record: FrameRecord) -> tuple[FrameRecord, Sequence[Event]]:
    """Call only with the job seen open after this record was inserted."""
    frame = StoredFrame(
        frame=record.frame,
        file_sha256=record.file_sha256,
        pixel_sha256=record.pixel_sha256,
        bytes=record.bytes,
        cpu_micros=record.cpu_micros,
        seconds=record.seconds,
        key=record.key,
        thumbnail_key=record.thumbnail_key,
    )
    event = FramesStored(
        job=record.job,
        chunk=record.chunk,
        attempt=record.attempt,
        agent=record.agent,
        kind=record.kind,
        generation=record.generation,
        version=record.version,
        frames=(frame,),
    )
    return _moved(record, FrameState.STORED), (event,)


def refused(record: FrameRecord) -> tuple[FrameRecord, Sequence[Event]]:
    return _moved(record, FrameState.REFUSED), ()


def rejection(grant: Grant, frame: int, code: str, text: str) -> FramesRejected:
    return FramesRejected(
        job=grant.job,
        chunk=grant.chunk,
        attempt=grant.attempt,
        agent=grant.agent,
        kind=grant.kind,
        generation=grant.generation,
        frames=(RejectedFrame(frame=frame, code=code, text=text),),
    )


def superfluous(grant: Grant, frame: int) -> FramesSuperfluous:
    return FramesSuperfluous(
        job=grant.job, chunk=grant.chunk, attempt=grant.attempt, agent=grant.agent, version=grant.version, frames=(frame,)
    )


def record_id(job: str, frame: int) -> str:
    return f"{job}:{frame}"


def claim_id(attempt: str, frame: int) -> str:
    return f"{attempt}:{frame}"


def refusal_id(attempt: str, frame: int, file_sha256: str) -> str:
    return f"{attempt}:{frame}:{file_sha256}"


def staged_key(attempt: str, frame: int, file_sha256: str) -> str:
    return f"staged/{attempt}/{frame}-{file_sha256}"


def _moved(record: FrameRecord, to: FrameState) -> FrameRecord:
    if to not in MOVES[record.state]:
        raise ValueError(f"frame {record.id} is {record.state} and cannot become {to}")
    return replace(record, state=to)
