"""How far a frame is and when an attempt ends, as well as one can tell: for people, and so that the next bundle is in time."""

import re

from agent.domain.attempt import Attempt, Phase
from agent.domain.signals import Progressed

AHEAD_SECONDS = 10.0
"""An attempt that ends sooner occupies no slot any more: the next one's bundle is fetched while it renders its last frames.
Further ahead, a chunk would wait here that another machine could begin at once."""
LATE_SECONDS = 1.0
"""Delivering takes no container; when it lasts, the slot is free."""
MOST = 1_000_000
MOST_SECONDS = 10_000_000.0
_SAMPLE = re.compile(r"\bSample (\d{1,7})/(\d{1,7})\b")


def samples(text: str) -> tuple[int, int] | None:
    """(done, of all) from Blender's statistics, where it tells."""
    found = _SAMPLE.search(text)
    done, total = (int(word) for word in found.groups()) if found else (0, 0)
    return (min(done, total), total) if 1 <= total <= MOST else None


def heard(text: str, remaining: float | None) -> Progressed:
    """From the container's words; Blender's guess may be anything."""
    return Progressed(text, samples(text), None if remaining is None else min(max(remaining, 0.0), MOST_SECONDS))


def seconds_left(attempt: Attempt, now: float) -> float | None:
    """Of rendering: from the frames this attempt has finished, for a lone frame from Blender's own guess."""
    left, done = len(attempt.to_render()), [held.picture.seconds for held in attempt.frames]
    if left == 0:
        return 0.0
    if done:
        each = sum(done) / len(done)
        return max(0.0, each - (now - attempt.frame_since)) + each * (left - 1)
    if left == 1 and attempt.remaining is not None:
        return max(0.0, attempt.remaining - (now - attempt.alive_at))
    return None


def is_ending(attempt: Attempt, now: float) -> bool:
    """Whether it will be over in a moment, well or not."""
    if attempt.phase is Phase.DELIVERING:
        return attempt.in_hand() and now - attempt.since >= LATE_SECONDS
    if attempt.phase is not Phase.RENDERING or not attempt.opened or attempt.frozen_since is not None:
        return False
    left = seconds_left(attempt, now)
    return left is not None and left <= AHEAD_SECONDS
