"""What an agent's history says of it: whether it is trusted, how reliable it is, and when it is kept from all work for a while.

Theory. *Trust* is a history of pictures that the store has verified: so many frames, for so many different renters who are not
its owner, over so long; one refused picture that another owner's machine then brought begins it anew. Verified says that a
picture is what was ordered in size and format, not that it is the right one: that comes with audits, and until then trust is no
more than patience shown. *Reliability* moves a little towards 100 with each batch of stored frames and a good deal towards 0
whenever a chunk is left or lost; it decides who is asked first, never what is paid.
A *mishap* is a chunk that this machine failed on its own account (no scene fault, no lack of memory, no slowness) and another
owner's machine then completed, so that the renter's file is not to blame. Machines with mishaps with several different renters in
a short time, and nothing stored in between, are broken: they are quarantined, at first for half an hour, then twice as long each
time, and let back without being asked. A renter counts once, however often his jobs fail, and whatever is stored for others
forgives: so a few renters who conspire do not get a rival's machine quarantined that works for anybody else.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quick import replace

MOST_MISHAPS = 16
MOST_RENTERS = 8
GOOD_PERCENT, BAD_PERCENT = 5, 20
"""How far one good or bad end moves the reliability."""
LONGEST = timedelta(days=1)


@dataclass(frozen=True)
class Mishap:
    chunk: str
    renter: str
    at: datetime


@dataclass(frozen=True)
class Standing:
    """`renters` and `since` go with `verified`: for whom, and since when. `reliability` in percent."""

    verified: int = 0
    renters: tuple[str, ...] = ()
    since: datetime | None = None
    reliability: int = 80
    mishaps: tuple[Mishap, ...] = ()
    quarantines: int = 0
    until: datetime | None = None
    """In quarantine so long."""


NEWCOMER = Standing()


def verified(standing: Standing, renter: str, owner: str, number: int, now: datetime) -> Standing:
    """The store has taken so many frames of its. What an owner renders for himself shows nothing to others."""
    better = replace(standing, reliability=_moved(standing.reliability, 100, GOOD_PERCENT), mishaps=_forgiven(standing, renter))
    if renter == owner or number <= 0:
        return better
    renters = standing.renters if renter in standing.renters else (*standing.renters, renter)[:MOST_RENTERS]
    return replace(better, verified=standing.verified + number, renters=renters, since=standing.since or now)


def unreliable(standing: Standing) -> Standing:
    """It left or lost a chunk."""
    return replace(standing, reliability=_moved(standing.reliability, 0, BAD_PERCENT))


def is_trusted(standing: Standing, now: datetime, policy: Policy) -> bool:
    return (
        standing.since is not None
        and standing.verified >= policy.trust_frames
        and len(standing.renters) >= policy.trust_renters
        and now - standing.since >= policy.after("trust_age")
    )


def failed(standing: Standing, chunk: str, renter: str, was_refused: bool, now: datetime, policy: Policy) -> Standing:
    """Another owner's machine has done what this one failed at: a mishap, once for each chunk. `was_refused`: a picture of this
    one's was."""
    if any(one.chunk == chunk for one in standing.mishaps):
        return standing
    fresh = tuple(one for one in standing.mishaps if now - one.at <= policy.after("mishap"))
    after = replace(standing, mishaps=(*fresh, Mishap(chunk, renter, now))[-MOST_MISHAPS:])
    if was_refused:
        after = replace(after, verified=0, renters=(), since=None)
    return _quarantined(after, now, policy) if _is_broken(after, policy) else after


def is_out(standing: Standing, now: datetime) -> bool:
    return standing.until is not None and now < standing.until


def _is_broken(standing: Standing, policy: Policy) -> bool:
    return len({one.renter for one in standing.mishaps}) >= policy.quarantine_renters


def _quarantined(standing: Standing, now: datetime, policy: Policy) -> Standing:
    pause = min(LONGEST, policy.after("quarantine") * 2 ** min(standing.quarantines, 10))
    return replace(standing, mishaps=(), quarantines=standing.quarantines + 1, until=now + pause)


def _forgiven(standing: Standing, renter: str) -> tuple[Mishap, ...]:
    """All of this renter's; and work done for somebody else than those it failed forgives everything."""
    if all(one.renter != renter for one in standing.mishaps):
        return ()
    return tuple(one for one in standing.mishaps if one.renter != renter)


def _moved(percent: int, to: int, step: int) -> int:
    return percent + (to - percent) * step // 100 if to > percent else percent - (percent - to) * step // 100
