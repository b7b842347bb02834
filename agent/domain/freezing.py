"""Standing still and going on: the lender has his machine back for a while, and the same container waits.

Time that an attempt spends frozen counts neither as a frame's time nor as silence. The grant's end is the farm's and waits for
nobody.
"""

from dataclasses import replace

from agent.domain import signals as s
from agent.domain.attempt import Attempt, Phase, move

AT_WORK = frozenset({Phase.FETCHING, Phase.RENDERING})


def freeze(attempt: Attempt, _: s.Freeze, now: float) -> s.Decision:
    """A bundle may go on arriving (the lender bounds his line otherwise); no container starts."""
    if attempt.phase not in AT_WORK or attempt.frozen_since is not None:
        return attempt, ()
    frozen = replace(attempt, frozen_since=now)
    return frozen, (s.FreezeContainer(),) if attempt.phase is Phase.RENDERING else ()


def thaw(attempt: Attempt, _: s.Thaw, now: float) -> s.Decision:
    if attempt.frozen_since is None or attempt.phase not in AT_WORK:
        return attempt, ()
    thawed = _later(attempt, now, attempt.frozen_since)
    if attempt.phase is Phase.RENDERING:
        return thawed, (s.ThawContainer(),)
    return start(thawed, now) if attempt.fetched else (thawed, ())


def start(attempt: Attempt, now: float) -> s.Decision:
    """Its bundle is here: on to rendering, unless it is frozen."""
    if attempt.frozen_since is not None:
        return replace(attempt, fetched=True), ()
    return replace(move(attempt, Phase.RENDERING, "bundle fetched"), alive_at=now, frame_since=now), (s.StartContainer(),)


def _later(attempt: Attempt, now: float, frozen_since: float) -> Attempt:
    """Every clock of the container moved on by the time it stood still; one that began to tick meanwhile begins again."""

    def moved(since: float) -> float:
        return now - max(0.0, frozen_since - since)

    since = attempt.container_since
    return replace(
        attempt,
        frozen_since=None,
        looked_at=now,
        container_since=None if since is None else moved(since),
        frame_since=moved(attempt.frame_since),
        alive_at=moved(attempt.alive_at),
        room=None,
        room_at_frame=None,
    )
