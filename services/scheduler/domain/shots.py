"""Which frames of a job look alike, as far as the file says: the same camera, and the same things in the picture.

Theory. Stratified sampling: where the timeline is cut into shots, a frame says much of its own shot and of others with the same
look, and nothing of the rest. Every look that a sample's share of the frames belongs to gets samples of its own, as many as its
frames are of all (by Sainte-Laguë's rule); shorter ones go together, and where even those together are too few, between what is
known on both sides. Within a look nothing is assumed but that the cost changes steadily over the timeline. What a file says of
its shots steers where we look, never what is paid: the costs are measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from contracts.events import Shot
from contracts.values import LAST_FRAME, Curve, FrameRange, Knot, Ranges, count
from services.scheduler.domain.spans import holds, nth

OUTSIDE = 1_000


@dataclass(frozen=True)
class Look:
    """`spans`: frames of the job; `shots`: the stretches of the timeline they come from, in order."""

    spans: Ranges
    shots: tuple[Shot, ...] = ()


def looks(spans: Ranges, shots: Sequence[Shot], number: int) -> tuple[Look, ...]:
    """With a share of `number` samples each, the largest first; one for all frames where the file tells nothing."""
    share = -(-count(spans) // (2 * number))
    found = sorted(_alike(spans, covering(shots)), key=lambda look: (-count(look.spans), look.spans[0].first))
    large = [look for look in found[: number - 1] if count(look.spans) >= share]
    others = _together(spans, [shot for look in found[len(large) :] for shot in look.shots])
    if count(others.spans) >= share:
        large.append(others)
    return tuple(large) if len(large) > 1 else (Look(spans),)


def _alike(spans: Ranges, shots: Sequence[Shot]) -> list[Look]:
    """By what they look like; without those that no frame of the job belongs to."""
    ordered = sorted(shots, key=lambda shot: shot.look)
    found = [_together(spans, list(each)) for _, each in groupby(ordered, key=lambda shot: shot.look)]
    return [look for look in found if look.spans]


def _together(spans: Ranges, shots: Sequence[Shot]) -> Look:
    ordered = tuple(sorted(shots, key=lambda shot: shot.first))
    return Look(tuple(span for shot in ordered for span in within(spans, shot)), ordered)


def covering(shots: Sequence[Shot]) -> list[Shot]:
    """Without those that overlap an earlier one; and what lies outside of all looks like nothing else."""
    found, begins = list[Shot](), -LAST_FRAME
    for shot in sorted(shots, key=lambda shot: shot.first):
        if begins < shot.first:
            found.append(Shot(first=begins, last=shot.first - 1, look=OUTSIDE))
        if begins <= shot.first <= shot.last:
            found.append(shot)
            begins = shot.last + 1
    return [*found, Shot(first=begins, last=LAST_FRAME, look=OUTSIDE)] if begins <= LAST_FRAME else found


def within(spans: Ranges, shot: Shot) -> Ranges:
    """Those frames of the spans that the shot has; never unrolled."""
    found = []
    for span in spans:
        first = span.first + max(0, -(-(shot.first - span.first) // span.step)) * span.step
        if first <= min(shot.last, span.last):
            found.append(FrameRange(first=first, last=min(shot.last, span.last), step=span.step))
    return tuple(found)


def shares(alike: Sequence[Look], number: int) -> list[int]:
    """How many of so many samples each look gets: at least one, as long as there are."""
    given = [1 if at < number else 0 for at in range(len(alike))]
    for _ in range(number - sum(given)):
        most = max(range(len(alike)), key=lambda at: count(alike[at].spans) / (2 * given[at] + 1))
        given[most] += 1
    return given


def middles(spans: Ranges, number: int) -> list[int]:
    """The middle frames of so many equal stretches."""
    total = count(spans)
    return [nth(spans, (2 * at + 1) * total // (2 * number)) for at in range(number)]


def of(alike: Sequence[Look], frame: int) -> int:
    """Which look a frame of the job has; -1: one that is too rare to count."""
    return next((at for at, look in enumerate(alike) if holds(look.spans, frame)), -1)


def parted(knots: Sequence[Knot], alike: Sequence[Look]) -> list[tuple[Knot, ...]]:
    """The knots by look."""
    return [tuple(one for one in knots if of(alike, one.frame) == at) for at in range(-1, len(alike))]


def curve(knots: Sequence[Knot], alike: Sequence[Look]) -> Curve:
    """Through the knots, with a step wherever the look changes; between looks that nobody sampled, a straight line."""
    steps = {one.frame: one for one in knots}
    for at, look in enumerate(alike):
        own = tuple(one for one in knots if of(alike, one.frame) == at)
        if own and len(alike) > 1:
            line = Curve(knots=own)
            for frame in _borders(look):
                steps.setdefault(frame, Knot(frame=frame, micro_wu=line.wu(frame)))
    return Curve(knots=tuple(steps[frame] for frame in sorted(steps)))


def _borders(look: Look) -> list[int]:
    """First and last frame of each of its stretches, no further than the job goes."""
    first, last = min(span.first for span in look.spans), max(span.last for span in look.spans)
    return [frame for shot in look.shots for frame in (max(first, shot.first), min(last, shot.last))]
