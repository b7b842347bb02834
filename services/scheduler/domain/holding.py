"""The attempt that holds a chunk, and until when.

Theory. An attempt ends by evidence. Pulses only say that its machine lives; that it works is said by frames in the store. So an
attempt has its *last end*, what bundle, start and all its frames may take together, and before that its *hard end*: a first frame
must be stored in the time for bundle, start and one frame, and each stored frame earns the time for another one. A machine that
takes a chunk, pulses and renders nothing holds it for minutes, and as long as a slow line takes for the bundle; whatever speed it
claims.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.values import Ranges
from services.scheduler.domain.quick import replace


@dataclass(frozen=True)
class Holder:
    attempt: str
    agent: str
    at: datetime
    hard_end: datetime
    """Moved on by every frame of it that is stored."""
    done_at: datetime | None = None
    """When its agent said that nothing is left to do."""
    awaited: Ranges = ()
    """It was given up by then, and these frames of it lie in the store, unverified."""
    last_end: datetime | None = None
    """Beyond which its hard end never moves. None: claimed before there was one, it does not move at all."""
    patience: int = 0
    """Seconds for another frame to be stored."""
    brought_at: datetime | None = None
    """When storage last had a frame of it."""


def went_on(holder: Holder, now: datetime) -> Holder:
    """A frame of it is stored."""
    end = holder.hard_end if holder.last_end is None else min(holder.last_end, now + timedelta(seconds=holder.patience))
    return replace(holder, brought_at=now, hard_end=end)


def is_at_its_last(holder: Holder, now: datetime) -> bool:
    """Whatever it may still bring comes too late."""
    return holder.last_end is None or now >= holder.last_end


def silence(holder: Holder, now: datetime) -> int:
    """Seconds since a frame of it was stored, or since it was claimed."""
    return max(0, int((now - (holder.brought_at or holder.at)).total_seconds()))
