"""Frame lists as people write them: `1-48,60,100-200x2`."""

import itertools
import re
from collections.abc import Iterable, Sequence

from contracts.framesets import together
from contracts.values import LAST_FRAME, MAX_JOB_FRAMES, FrameRange, Ranges, count
from services.intake.domain.refusals import Refused, Why

MAX_RANGES = 2_000
MAX_TEXT = 40_000
MOST_PARTS = 2_500
"""Of what is left out of a job, and of what is left of it. A part takes at most 50 bytes of an event, like
`{"first":-1048574,"last":-1048574,"step":1048574},`; all together less than half of the 262,144 that a message has. The other
half is for what events say beside frames: a survey's facts and findings, a curve, an invoice."""
_PART = re.compile(r"^(-?\d{1,7})(?:-(-?\d{1,7})(?:x(\d{1,7}))?)?$", re.ASCII)


def parsed(text: str) -> Ranges:
    """Disjoint ranges in rising order. Raises Refused with the part that is wrong."""
    if len(text) > MAX_TEXT:
        raise _absurd(f"The frame list is longer than {MAX_TEXT} characters.")
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    return checked([_range(part) for part in parts])


def checked(wanted: Sequence[FrameRange]) -> Ranges:
    """The same frames as disjoint ranges in rising order. Raises Refused when there are none or absurdly many."""
    if not wanted:
        raise Refused(
            Why.INVALID,
            "empty-frames",
            "The frame list is empty.",
            "Name frames, or leave the list out for the file's own range.",
        )
    if len(wanted) > MAX_RANGES:
        raise _absurd(f"The frame list has more than {MAX_RANGES} parts.")
    if count(tuple(wanted)) > MAX_JOB_FRAMES:
        raise _absurd(f"The frame list has more than {MAX_JOB_FRAMES:,} frames.")
    found = _disjoint(wanted)
    if len(found) > MAX_RANGES:
        raise _absurd(f"The frame list needs more than {MAX_RANGES} parts once its overlaps are removed.")
    if len(together(found, MAX_RANGES + 1)) > MAX_RANGES:  # as events write it: two frames apart are two parts
        raise _absurd(f"The frame list needs more than {MAX_RANGES} parts: two frames with a gap count as two.")
    return found


def written(of: Iterable[FrameRange]) -> str:
    """The text that `parsed` reads back."""
    return ",".join(_written(r) for r in of)


def one(first: int, last: int, step: int = 1) -> FrameRange:
    """Raises Refused for a range no .blend can have."""
    if abs(first) > LAST_FRAME or abs(last) > LAST_FRAME:
        raise _absurd(f"Frames lie between {-LAST_FRAME:,} and {LAST_FRAME:,}.")
    if last < first:
        raise _absurd(f"The range {first}-{last} ends before it begins.")
    if not 1 <= step <= LAST_FRAME:
        raise _absurd(f"The range {first}-{last} has a step of {step}; steps are at least 1.")
    return FrameRange(first=first, last=last, step=step)


def _range(part: str) -> FrameRange:
    match = _PART.match(part)
    if match is None:
        raise _absurd(f"{part[:40]!r} is no frame and no range of frames.")
    first = int(match.group(1))
    return one(first, int(match.group(2) or first), int(match.group(3) or 1))


def _disjoint(wanted: Sequence[FrameRange]) -> Ranges:
    """Ranges that do not touch stay as they were written."""
    ordered = sorted(wanted, key=lambda r: r.first)
    apart = all(a.last < b.first for a, b in itertools.pairwise(ordered))
    return tuple(ordered) if apart else together(tuple(ordered), MAX_RANGES + 1)


def _written(r: FrameRange) -> str:
    if r.first == r.last:
        return str(r.first)
    return f"{r.first}-{r.last}" + (f"x{r.step}" if r.step > 1 else "")


def _absurd(text: str) -> Refused:
    return Refused(Why.INVALID, "invalid-frames", text, 'Write frames like "1-48,60,100-200x2".')
