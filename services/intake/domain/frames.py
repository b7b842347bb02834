"""Which frames are stored, and which an agent says are on their way: bitmaps in buckets of 1,000 frames, so that no document
grows with its job.

`stored` is storage's word, final and the same in any order. `arriving` is an agent's word, nothing is paid on it: a frame that
storage rejected is taken out again, and the same attempt cannot bring it back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from contracts.framesets import held, marked
from contracts.values import Ranges
from services.intake.domain.jobs import Job

SPAN = 1_000
MOST_REFUSED = 3_000
_AS_MARKS = bytes.maketrans(b"01", b"\0\1")


@dataclass(frozen=True)
class Bucket:
    """Frames `number * SPAN` and the SPAN - 1 after it. Bitmaps are hexadecimal, lowest frame in the lowest bit."""

    job: str
    number: int
    stored: str = ""
    stored_count: int = 0
    arriving: str = ""
    refused: tuple[str, ...] = ()
    """`attempt:frame` of what storage rejected."""


def number(frame: int) -> int:
    return frame // SPAN


def bucket_id(job: str, of: int) -> str:
    return f"{job}:{of}"


def by_bucket(frames: Iterable[int]) -> dict[int, list[int]]:
    """Frames by the number of their bucket."""
    found: dict[int, list[int]] = {}
    for frame in frames:
        found.setdefault(number(frame), []).append(frame)
    return found


def at_work(job: Job, agent: str) -> bool:
    """Whether the scheduler's last snapshot names this agent among those that render the job."""
    return job.progress is not None and any(share.agent == agent for share in job.progress.agents)


def of_job(job: Job, frames: Iterable[int]) -> list[int]:
    """Those that the job is for."""
    return held(job.frames or job.asked, frames)


def with_stored(bucket: Bucket, frames: Iterable[int]) -> Bucket:
    bits = _bits(bucket.stored) | _mask(frames)
    return replace(bucket, stored=f"{bits:x}", stored_count=bits.bit_count())


def with_arriving(bucket: Bucket, attempt: str, frames: Iterable[int]) -> Bucket:
    welcome = [frame for frame in frames if f"{attempt}:{frame}" not in bucket.refused]
    return replace(bucket, arriving=f"{_bits(bucket.arriving) | _mask(welcome):x}") if welcome else bucket


def with_rejected(bucket: Bucket, attempt: str, frames: Iterable[int]) -> Bucket:
    names = tuple(dict.fromkeys((*bucket.refused, *(f"{attempt}:{frame}" for frame in frames))))[-MOST_REFUSED:]
    return replace(bucket, arriving=f"{_bits(bucket.arriving) & ~_mask(frames):x}", refused=names)


def stored(bucket: Bucket) -> Ranges:
    return _frames(bucket.number, _bits(bucket.stored))


def arriving(bucket: Bucket) -> Ranges:
    """On their way and not stored yet."""
    return _frames(bucket.number, _bits(bucket.arriving) & ~_bits(bucket.stored))


def _bits(text: str) -> int:
    return int(text, 16) if text else 0


def _mask(frames: Iterable[int]) -> int:
    mask = 0
    for frame in frames:
        mask |= 1 << (frame % SPAN)
    return mask


def _frames(bucket: int, bits: int) -> Ranges:
    digits = f"{bits:b}".encode().translate(_AS_MARKS)
    return tuple(marked(digits[::-1], bucket * SPAN))
