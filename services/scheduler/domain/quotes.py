"""Every quote and what became of it: the curve, its band, and what the frames were measured to cost.

Measured work is what lenders say of their CPU time, on the scale of their own benchmarks. So it is kept by owner, and one frame
counts at most as eight times its quote and at least as an eighth: a single machine moves little, a single frame nothing. What was
measured lately is kept beside the whole (each frame fades by 1/32 with every further one), for what is left resembles it more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.values import Band, Curve, count
from services.scheduler.domain.curves import PPM
from services.scheduler.domain.job import Job
from services.scheduler.domain.quick import replace

BINS = 100
FADE = 32
MOST_OWNERS = 500
BOUND = 8
"""A frame's influence: so many times its quote, and so much of it."""


@dataclass(frozen=True)
class Witness:
    """What one owner's machines have shown; micro-WU. `late`: faded."""

    owner: str
    house: bool
    frames: int = 0
    measured: int = 0
    quoted: int = 0
    late_measured: int = 0
    late_quoted: int = 0


@dataclass(frozen=True)
class Truth:
    """Of one stretch of the timeline: micro-WU as measured and as quoted, and of how many frames."""

    measured: int = 0
    quoted: int = 0
    frames: int = 0


@dataclass(frozen=True)
class Quote:
    """One version. `frames` are those it was made for, without the sampled ones; `sampled_micro_wu` is what sampling cost."""

    job: str
    account: str
    version: int
    made_at: datetime
    first: int
    last: int
    frames: int
    price_micro: int
    curve: Curve
    micro_wu: Band
    seconds: Band
    sampled_micro_wu: int = 0
    samples: int = 0
    witnesses: tuple[Witness, ...] = ()
    timeline: tuple[Truth, ...] = ()
    is_complete: bool = False
    """Every frame of it was measured."""
    is_told: bool = False
    """Its error is in the metrics: since it is complete, or since nothing more is rendered at it (superseded, the job over)."""


def name(job: str, version: int) -> str:
    return f"{job}:{version}"


def made(job: Job, price_micro: int, now: datetime) -> Quote | None:
    """None before there is an estimate."""
    if job.curve is None or job.micro_wu is None or job.seconds is None:
        return None
    spans = job.uncut or job.frames
    return Quote(
        job=job.job, account=job.account, version=job.version, made_at=now,
        first=min(one.first for one in spans), last=max(one.last for one in spans), frames=job.to_render, price_micro=price_micro,
        curve=job.curve, micro_wu=job.micro_wu, seconds=job.seconds,
        sampled_micro_wu=sum(one.micro_wu for one in job.measured), samples=count(job.frames) - job.to_render,
        timeline=(Truth(),) * BINS,
    )  # fmt: skip


def shown(quote: Quote, owner: str, house: bool, frames: Iterable[tuple[int, int]]) -> Quote:
    """With frames that this owner's machines rendered: (frame, measured micro-WU)."""
    return all_shown(quote, [(owner, house, frames)])


def all_shown(quote: Quote, by_owner: Iterable[tuple[str, bool, Iterable[tuple[int, int]]]]) -> Quote:
    """The same of many owners. Who has shown something lately is forgotten last."""
    witnesses, timeline = {one.owner: one for one in quote.witnesses}, list(quote.timeline)
    for owner, house, frames in by_owner:
        witness = witnesses.pop(owner, None) or Witness(owner, house)
        for frame, measured in frames:
            quoted = quote.curve.wu(frame)
            bounded = min(max(measured, quoted // BOUND), quoted * BOUND)
            witness, at = _with(witness, bounded, quoted), _bin(quote, frame)
            timeline[at] = Truth(timeline[at].measured + bounded, timeline[at].quoted + quoted, timeline[at].frames + 1)
        witnesses[owner] = witness
    done = sum(one.frames for one in timeline) >= quote.frames
    kept = tuple(witnesses.values())[-MOST_OWNERS:]
    return replace(quote, witnesses=kept, timeline=tuple(timeline), is_complete=done, is_told=quote.is_told or done)


def over(quote: Quote) -> Quote:
    """Nothing more is given out at it: what was measured of it counts. Nothing is said of one that was never rendered at."""
    return replace(quote, is_told=True) if any(one.frames for one in quote.timeline) else quote


def _with(witness: Witness, measured: int, quoted: int) -> Witness:
    return replace(
        witness,
        frames=witness.frames + 1,
        measured=witness.measured + measured,
        quoted=witness.quoted + quoted,
        late_measured=witness.late_measured * (FADE - 1) // FADE + measured,
        late_quoted=witness.late_quoted * (FADE - 1) // FADE + quoted,
    )


def _bin(quote: Quote, frame: int) -> int:
    inside = min(max(frame, quote.first), quote.last) - quote.first
    return inside * len(quote.timeline) // (quote.last - quote.first + 1)


def measured(quote: Quote) -> int:
    """Micro-WU of the frames measured so far."""
    return sum(one.measured for one in quote.timeline)


def quoted(quote: Quote) -> int:
    """What the curve says of those same frames."""
    return sum(one.quoted for one in quote.timeline)


def error_ppm(quote: Quote) -> int | None:
    """How far the quote was above (positive) or below what was measured; None while nothing was."""
    work = measured(quote)
    return (quoted(quote) - work) * PPM // work if work else None


def is_in_band(quote: Quote) -> bool:
    """Whether the measured work lies in the band that was told; of a part of its frames, in the same part of the band."""
    work, part, whole = measured(quote), quoted(quote), max(1, quote.micro_wu.expected)
    if quote.is_complete:
        return quote.micro_wu.low <= work <= quote.micro_wu.high
    return quote.micro_wu.low * part <= work * whole <= quote.micro_wu.high * part


def ratio_ppm(witnesses: Sequence[Witness], owners: int, frames: int, late: bool = False) -> int | None:
    """Measured ÷ quoted: the median over owners with so many frames, of two middle ones the one nearer to the quote. None while
    there are fewer owners than that. Less than half of the owners cannot have a renter asked."""
    seen = [one for one in witnesses if one.frames >= frames and one.quoted]
    if len(seen) < max(1, owners):
        return None
    shown = [(one.late_measured, one.late_quoted) if late else (one.measured, one.quoted) for one in seen]
    found = sorted([measured * PPM // max(1, quoted) for measured, quoted in shown])
    return min(found[(len(found) - 1) // 2], found[len(found) // 2], key=lambda one: abs(one - PPM))
