"""Arithmetic on frame ranges that never unrolls a long range: a job may have a million frames."""

from collections.abc import Iterable

from contracts.framesets import held, less, together
from contracts.values import FrameRange, Ranges, count, frames, ranges


def normalised(spans: Ranges) -> Ranges:
    """Disjoint and sorted; a single range is left as it is."""
    return spans if len(spans) < 2 else together(spans)


def nth(spans: Ranges, index: int) -> int:
    """The frame at this place, counted from 0. Raises IndexError beyond the end."""
    for span in spans:
        if index < len(span):
            return span.first + index * span.step
        index -= len(span)
    raise IndexError("there are not so many frames")


def taken(spans: Ranges, number: int) -> tuple[Ranges, Ranges]:
    """The first `number` frames, and the rest."""
    first: list[FrameRange] = []
    for at, span in enumerate(spans):
        if number <= 0:
            return tuple(first), spans[at:]
        if len(span) > number:
            cut = span.first + (number - 1) * span.step
            head = FrameRange(first=span.first, last=cut, step=span.step)
            tail = FrameRange(first=cut + span.step, last=span.last, step=span.step)
            return (*first, head), (tail, *spans[at + 1 :])
        first.append(span)
        number -= len(span)
    return tuple(first), ()


def holds(spans: Ranges, frame: int) -> bool:
    return any(frame in span for span in spans)


def without(spans: Ranges, removed: Iterable[int]) -> Ranges:
    """All frames but these (few) ones."""
    for frame in removed:
        spans = tuple(part for span in spans for part in _split(span, frame))
    return spans


def _split(span: FrameRange, frame: int) -> Ranges:
    if frame not in span:
        return (span,)
    before = () if frame == span.first else (FrameRange(first=span.first, last=frame - span.step, step=span.step),)
    after = () if frame + span.step > span.last else (FrameRange(first=frame + span.step, last=span.last, step=span.step),)
    return (*before, *after)


__all__ = ["count", "frames", "held", "holds", "less", "normalised", "nth", "ranges", "taken", "without"]
