"""The order in which a job's frames are cut.

A preview shows the whole film early and ever finer: first and last frame, the middle, the quarters, the eighths; then every
2^k-th of what is left, halving the step. Each of those is one range, so a job of a million frames has a few dozen.
"""

from contracts.values import FrameRange, Order, Ranges, count
from services.scheduler.domain.spans import nth, without

HEAD = (0, 8, 4, 2, 6, 1, 3, 5, 7)
"""Eighths of the way."""
MOST_SPANS = 64
"""A list in more pieces than this is only begun with its head."""


def ordered(spans: Ranges, order: Order) -> Ranges:
    """The same frames; cutting takes them from the front."""
    if order is not Order.PREVIEW or not spans:
        return spans
    head = _head(spans)
    rest = without(spans, [one.first for one in head])
    return (*head, *(_levels(rest) if len(rest) <= MOST_SPANS else rest))


def _head(spans: Ranges) -> Ranges:
    last = count(spans) - 1
    chosen = [nth(spans, place) for place in dict.fromkeys(at * last // 8 for at in HEAD)]
    return tuple(FrameRange(first=frame, last=frame) for frame in chosen)


def _levels(spans: Ranges) -> Ranges:
    """Of each span the places that are odd multiples of 2^k, the largest k of all spans first."""
    longest = max(map(len, spans), default=0)
    steps = [1 << k for k in range(longest.bit_length(), -1, -1)]
    first = [FrameRange(first=span.first, last=span.first) for span in spans]
    return (*first, *(found for step in steps for span in spans if (found := _odd(span, step)) is not None))


def _odd(span: FrameRange, step: int) -> FrameRange | None:
    """The places step, 3 × step, 5 × step, …"""
    if step >= len(span):
        return None
    places = range(step, len(span), 2 * step)
    stride = span.step * 2 * step if len(places) > 1 else 1
    return FrameRange(first=span.first + places[0] * span.step, last=span.first + places[-1] * span.step, step=stride)
