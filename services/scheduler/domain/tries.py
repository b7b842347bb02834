"""Failed attempts: what they count, who tries next, and when a job cannot go on.

Theory. A frame is tried three times, the last time on the house agent, and only the house agent's failure is final: a scene fault
that it confirms at once, anything else at the third try. A failure that names no frame counts for all that are missing. Each
attempt counts once per frame. What the lender caused by leaving is no try (domain.chunk, `gave_up`). A scene fault that is worth
the house's time (domain.doubts) goes to the house agent at once. What ran out of memory is tried with twice as much. Nor is it
a try when nothing came of an attempt, or not what it said; but its agent is the last to get that chunk again. When the house
agent could not even begin, for the third time and over so long that it was not the farm's store that was away, that is final too.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from contracts.events import Fault
from contracts.values import Ranges, frames
from services.scheduler.domain.chunk import (
    FORMER,
    IN_VAIN,
    Chunk,
    Decided,
    Ending,
    Failure,
    Tries,
    gave_up,
    is_held_by,
    is_open,
    left,
    missing,
    voided,
)
from services.scheduler.domain.holding import is_at_its_last
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.spans import holds

REFUSED = "refused"
NOTHING = "nothing came"
"""Of an attempt that was given up: what a failure is called of which its agent says nothing."""
OF_THE_MACHINE = frozenset({REFUSED, Fault.MACHINE.value})
"""What is held against a machine once another owner's has brought the frames."""


def failed(
    chunk: Chunk,
    attempt: str,
    fault: Fault,
    frame: int | None,
    by_house: bool,
    now: datetime,
    policy: Policy,
    delivered: Ranges = (),
    to_house: bool = False,
) -> tuple[Chunk, bool]:
    """The holder could not go on; True when that is final: the third try, or a scene fault, on the house agent. Nothing is held
    against frames that it has `delivered`. `to_house`: that one is to try next, whatever was tried."""
    if chunk.holder is None or chunk.holder.attempt != attempt:
        return chunk, False
    holder = chunk.holder
    tried = _tried(chunk, attempt, _blamed(chunk, frame, delivered))
    if fault is Fault.MEMORY:
        tried = replace(tried, memory_factor=tried.memory_factor * 2)
    failure = Failure(holder.agent, now, fault)
    tried = replace(tried, failed_on=_remembered(tried.failed_on, failure), house=tried.house or to_house)
    final = by_house and (fault is Fault.SCENE or _most_tries(tried) >= policy.tries)
    return left(_to_house(tried, policy), attempt, Ending.FAILED, delivered, now), final


def rejected(
    chunk: Chunk, attempt: str, agent: str, bad: Sequence[int], by_house: bool, now: datetime, policy: Policy
) -> tuple[Chunk, bool]:
    """Storage refused these pictures of an attempt: a try each, unless the frame is stored already. The attempt goes on; what
    it leaves undone is given out again when it ends. True when that is final."""
    lacking = set(frames(missing(chunk)))
    blamed: list[int | None] = [frame for frame in bad if frame in lacking]
    if not blamed or not is_open(chunk):
        return chunk, False
    tried = _tried(chunk, attempt, blamed)
    if tried is not chunk:
        tried = replace(tried, failed_on=_remembered(tried.failed_on, Failure(agent, now, REFUSED)))
    return _to_house(tried, policy), by_house and _most_tries(tried) >= policy.tries


def timed_out(chunk: Chunk, attempt: str, now: datetime, by_house: bool = False) -> Decided:
    """Its hard end is reached. One that has said it is done is left to `settle`: its frames may lie in the store, unverified, and
    would be rendered twice."""
    if chunk.holder is None or not has_run_out(chunk, attempt, now):
        return chunk, []
    is_last = is_at_its_last(chunk.holder, now)
    reason = "the attempt has reached its hard end" if is_last else "no frame of it has come in time"
    known = in_vain(chunk, attempt, now) if by_house else chunk
    return voided(known if known is not chunk else _unfit(chunk, chunk.holder.agent, now), attempt, reason, now)


def has_run_out(chunk: Chunk, attempt: str, now: datetime) -> bool:
    """Its holder's time, as it is now: a frame that is stored moves it."""
    holder = chunk.holder
    return holder is not None and holder.attempt == attempt and holder.done_at is None and now >= holder.hard_end


def incomplete(chunk: Chunk, attempt: str, is_blamed: bool, now: datetime) -> Chunk:
    """It has said it is done, and what is missing has not come. `is_blamed`: nobody else can have caused that."""
    if chunk.holder is None or not is_held_by(chunk, attempt):
        return chunk
    known = _unfit(chunk, chunk.holder.agent, now) if is_blamed else chunk
    return gave_up(known, attempt, Ending.INCOMPLETE, now)


def in_vain(chunk: Chunk, attempt: str, now: datetime) -> Chunk:
    """This attempt of the house agent ends, and no frame has come of it."""
    if chunk.holder is None or not is_held_by(chunk, attempt) or chunk.holder.brought_at is not None:
        return chunk
    return _unfit(chunk, chunk.holder.agent, now, IN_VAIN)


def is_hopeless(chunk: Chunk, now: datetime, policy: Policy) -> bool:
    """Whether that was so often and for so long that there is no point in another one."""
    before = [one.at for one in chunk.failed_on if one.fault == IN_VAIN]
    return len(before) >= policy.tries and now - before[0] >= policy.after("house_gives_up")


def _unfit(chunk: Chunk, agent: str, now: datetime, why: str = NOTHING) -> Chunk:
    return replace(chunk, failed_on=_remembered(chunk.failed_on, Failure(agent, now, why)))


def _remembered(before: tuple[Failure, ...], failure: Failure) -> tuple[Failure, ...]:
    """The last of them. Since when the house agent tries in vain is not forgotten, however often it has tried since."""
    known = (*before, failure)
    gone, kept = known[:-FORMER], known[-FORMER:]
    oldest = next((one for one in gone if one.fault == IN_VAIN), None)
    return kept if oldest is None else (oldest, *kept[1:])


def _blamed(chunk: Chunk, frame: int | None, delivered: Ranges) -> list[int | None]:
    lacking = [one for one in frames(missing(chunk)) if not holds(delivered, one)]
    if frame in lacking:
        return [frame]
    return [*lacking] or [None]


def _tried(chunk: Chunk, attempt: str, blamed: Sequence[int | None]) -> Chunk:
    before = {tries.frame: tries for tries in chunk.tries}
    for frame in blamed:
        known = before.get(frame)
        if known is None or known.last != attempt:
            before[frame] = Tries(frame, 1 if known is None else known.count + 1, attempt)
    after = tuple(before.values())
    return chunk if after == chunk.tries else replace(chunk, tries=after)


def _most_tries(chunk: Chunk) -> int:
    return max((tries.count for tries in chunk.tries), default=0)


def _to_house(chunk: Chunk, policy: Policy) -> Chunk:
    return replace(chunk, house=chunk.house or _most_tries(chunk) >= policy.tries - 1)
