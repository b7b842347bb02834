"""Sums over a curve of work without visiting every frame: a job may have a million of them."""

from collections.abc import Iterator

from contracts.values import Curve, FrameRange, Knot, Ranges

PPM = 1_000_000
MOST_MICRO_WU = 10**18


def total(curve: Curve, spans: Ranges) -> int:
    """Micro-WU of all these frames together, rounded down once (a frame alone is rounded down by itself)."""
    return sum(_of_span(curve, span) for span in spans)


def scaled(curve: Curve, ppm: int) -> Curve:
    """Every frame costs so many millionths of what it did."""
    return Curve(
        knots=tuple(Knot(frame=one.frame, micro_wu=min(MOST_MICRO_WU, one.micro_wu * ppm // PPM)) for one in curve.knots)
    )


def _of_span(curve: Curve, span: FrameRange) -> int:
    return sum(_of_piece(curve, piece) for piece in _pieces(curve, span))


def _pieces(curve: Curve, span: FrameRange) -> Iterator[range]:
    """The span's frames, parted where the curve has a knot: within one part work is a straight line."""
    first = span.first
    for knot in curve.knots:
        if first > span.last:
            return
        if knot.frame < first:
            continue
        last = first + (knot.frame - first) // span.step * span.step
        piece = range(first, min(last, span.last) + 1, span.step)
        if piece:
            yield piece
            first = piece[-1] + span.step
    if first <= span.last:
        yield range(first, span.last + 1, span.step)


def _of_piece(curve: Curve, piece: range) -> int:
    """An arithmetic series: its mean is that of its ends."""
    return (curve.wu(piece[0]) + curve.wu(piece[-1])) * len(piece) // 2
