"""Arithmetic on frames that are given as ranges.

A renter may write ten thousand ranges over a million frames, with whatever steps. So what is asked here is asked once per range,
and what has to be done per frame is one byte that the machine sets, copies or compares in a block. `most` bounds the answer,
which steps that cross each other break into very many ranges: it ends there.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from contracts.values import FrameRange, Ranges

_IN = b"\1"
_TURNED = bytes((1, 0)) + bytes(254)


def together(of: Ranges, most: int | None = None) -> Ranges:
    """All their frames, each once, in rising order: as `values.ranges` would write them."""
    if not of:
        return ()
    low, high = _hull(of)
    return tuple(islice(marked(_marks(of, low, high), low), most))


def less(of: Ranges, removed: Ranges, most: int | None = None) -> Ranges:
    """All frames of `of` but those of `removed`. A range that loses none stays as it was written."""
    if not of:
        return ()
    low, high = _hull(of)
    near = [one for one in removed if one.first <= high and low <= one.last]
    if not near:
        return of[:most]
    return tuple(islice(_less(of, _marks(near, low, high), low), most))


def _less(of: Ranges, gone: bytearray, low: int) -> Iterator[FrameRange]:
    for one in of:
        lost = gone[one.first - low : one.last - low + 1 : one.step]
        yield from marked(lost.translate(_TURNED), one.first, one.step) if _IN in lost else (one,)


def held(of: Ranges, asked: Iterable[int]) -> list[int]:
    """Those of the frames asked for that are in `of`, as they were asked."""
    wanted = list(asked)
    if not wanted:
        return []
    low, high = min(wanted), max(wanted)
    marks = _marks([one for one in of if one.first <= high and low <= one.last], low, high)
    return [frame for frame in wanted if marks[frame - low]]


def marked(marks: bytes | bytearray, first: int, step: int = 1) -> Iterator[FrameRange]:
    """Frames `first + at * step` for each place `at` whose byte is 1 (the others are 0), in rising order."""
    at = marks.find(_IN)
    while at >= 0:
        number, gap = _run(marks, at)
        if number == 2 and gap * step > 1:  # a run of two with a gap is two single frames
            number = 1
        end = at + (number - 1) * gap
        yield FrameRange(first=first + at * step, last=first + end * step, step=gap * step if number > 1 else 1)
        at = marks.find(_IN, end + 1)


def _hull(of: Ranges) -> tuple[int, int]:
    return min(one.first for one in of), max(one.last for one in of)


def _marks(of: Iterable[FrameRange], low: int, high: int) -> bytearray:
    """A byte for each frame from `low` to `high`."""
    marks = bytearray(high - low + 1)
    for one in of:
        first = one.first if one.first >= low else low + (one.first - low) % one.step
        last = min(one.last, high)
        if first <= last:
            marks[first - low : last - low + 1 : one.step] = _IN * ((last - first) // one.step + 1)
    return marks


def _run(marks: bytes | bytearray, at: int) -> tuple[int, int]:
    """How many marks follow each other from this one on at the same distance, and that distance: in leaps that double while they
    succeed and halve when they do not."""
    after = marks.find(_IN, at + 1)
    if after < 0:
        return 1, 1
    gap = after - at
    one = bytes(gap - 1) + _IN
    number, end, leap, grows = 1, at + 1, 1, True
    while leap:
        if end + gap * leap <= len(marks) and marks.startswith(one * leap, end):
            number, end = number + leap, end + gap * leap
            leap *= 2 if grows else 1
        else:
            grows, leap = False, leap // 2
    return number, gap
