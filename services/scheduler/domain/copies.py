"""Frames that two attempts render: copies of the slowest chunks at the end of a job, and pictures that came second.

Theory. A job ends with its slowest chunk. When nothing is left to cut, an idle agent may get a copy of a chunk in hand: a chunk
of its own, whose frames are the later half of those still missing (the holder works from the front). It goes to the chunks
expected to end last, and only where that saves time worth having (M. Zaharia et al., *Improving MapReduce Performance in
Heterogeneous Environments*, OSDI 2008). Holder, copier and renter are three owners: who was two of them is not paid for what
comes second (`of_one_owner`), and nobody is to work for nothing, or to hold a chunk up for his other machine; or they are all
one: a renter's own machines hurry for him. Of a holder of which nothing comes at all a copy takes all that is missing. Each
frame that one of the two brings is told to the other; when nothing is missing any more the loser is stopped and not punished:
what it had finished is paid by the farm. A copy that is given up is closed, not queued. All copies of a job together are worth a
twentieth of it at most, or one chunk. Where a deadline is in danger, idle agents are kept from new work until it has its copies.
Storage keeps the first picture of a frame whatever we believe, so a crash in the middle costs work, never a frame.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.events import CopiesHonoured, Event
from contracts.values import Curve, Kind, Ranges, count, frames, ranges
from services.scheduler.domain.agent import Agent, free_slots
from services.scheduler.domain.chunk import (
    Chunk,
    Decided,
    Ending,
    Former,
    advanced,
    delivered_by,
    is_held_by,
    knows,
    lacking,
    missing,
    progressed,
)  # fmt: skip
from services.scheduler.domain.deadlines import is_pressed
from services.scheduler.domain.holding import Holder, silence
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import ChunkState, JobState

HONOURED = frozenset({Ending.FINISHED, Ending.NOT_NEEDED, Ending.INCOMPLETE})
"""Endings of attempts that worked under a good lease to their end."""
LATE = timedelta(hours=1)
"""So long after an attempt's end its copies are honoured: what it had finished by then is there and verified."""
MOST = 2
"""Copies of one chunk, one after the other."""


@dataclass(frozen=True)
class Straggler:
    """A chunk in hand whose `frames` another agent could bring sooner. Times in seconds from now, work in micro-WU."""

    chunk: Chunk
    frames: Ranges
    work: int
    ends: int
    front_ends: int
    """When its holder will be through with the frames it keeps."""
    owner: str = ""
    """Its holder's; of the house's none."""
    stands: bool = False
    """Nothing comes of it."""


@dataclass(frozen=True)
class Copy:
    original: Chunk
    copy: Chunk
    agent: Agent
    work: int


# --- who gets a copy of what


def is_ending(job: Job) -> bool:
    """Nothing of it is left to be cut."""
    return job.state is JobState.RENDERING and not job.uncut and job.curve is not None and job.micro_wu is not None


def chosen(board: Board, held: Sequence[Chunk], only_pressed: bool = False) -> list[Copy]:
    """At most one for each idle agent, the fastest first. `held` are all attempts in hand of jobs that are ending. Chunks that
    endanger a deadline come first (`only_pressed`: and no others)."""
    idle = [agent for agent in board.fleet if not agent.house and free_slots(agent)]
    if not idle:
        return []
    found_slow = [(_is_pressed(board, one), one) for one in _stragglers(board, held)]
    in_turn = [one for is_, one in sorted(found_slow, key=lambda pair: (not pair[0], -pair[1].ends)) if is_ or not only_pressed]
    waiting = [one for one in in_turn if _is_gain(one, board.policy.copy_start, board.policy)]
    paid = {one.chunk.job: board.jobs[one.chunk.job].copied_micro_wu for one in waiting}
    found: list[Copy] = []
    for agent in sorted(idle, key=lambda one: -one.micro_wu_per_minute):
        best = next((one for one in waiting if _is_worth(board, one, agent) and _is_paid(board, one, paid)), None)
        if best is not None:
            waiting.remove(best)
            paid[best.chunk.job] += best.work
            found.append(Copy(best.chunk, _copy(best, board.now), agent, best.work))
    return found


def _is_pressed(board: Board, one: Straggler) -> bool:
    return is_pressed(board.jobs[one.chunk.job], one.ends, board.now, board.policy)


def _stragglers(board: Board, held: Sequence[Chunk]) -> list[Straggler]:
    copied = {chunk.copy_of for chunk in held}
    known = {agent.agent: agent for agent in board.fleet}
    found = []
    for chunk in held:
        may_be = chunk.kind is Kind.RENDER and not chunk.copy_of and not chunk.house and not chunk.tries and chunk.copies < MOST
        if may_be and chunk.chunk not in copied and chunk.holder is not None and chunk.holder.done_at is None:
            job, holder = board.jobs[chunk.job], known.get(chunk.holder.agent)
            one = straggler(chunk, job, holder.micro_wu_per_minute if holder else 0, board.now, board.policy)
            found.append(one if holder is None or holder.house else replace(one, owner=holder.owner))
    return found


def straggler(chunk: Chunk, job: Job, speed: int, now: datetime, policy: Policy) -> Straggler:
    """`speed` of its holder in micro-WU a minute. Much later than planned, it goes on as it has shown. One of which nothing has
    come since long is not counted on at all: a copy takes everything that is missing."""
    assert job.curve is not None
    assert chunk.holder is not None
    left = list(frames(missing(chunk)))
    mine = [one.frames for one in chunk.deliveries if one.attempt == chunk.holder.attempt]
    done, whole = sum(_work(job.curve, spans) for spans in mine), sum(map(job.curve.wu, left))
    passed = max(0, int((now - chunk.holder.at).total_seconds()))
    planned = (done + whole) * 60 // max(1, speed)
    stands = silence(chunk.holder, now)
    if stands > policy.copy_patience + 2 * planned // max(1, count(chunk.frames)):
        return Straggler(chunk, ranges(left), whole, max(stands, planned - passed), 0, stands=True)
    back = left[len(left) // 2 :]
    shown = (whole * passed // done if done else passed) if passed > planned + policy.copy_patience else 0
    ends, work = max(0, planned - passed, shown), sum(map(job.curve.wu, back))
    return Straggler(chunk, ranges(back), work, ends, ends * (whole - work) // max(1, whole))


def _is_worth(board: Board, one: Straggler, agent: Agent) -> bool:
    assert one.chunk.holder is not None
    takes = board.policy.copy_start + one.work * 60 // max(1, agent.micro_wu_per_minute)
    job = board.jobs[one.chunk.job]
    is_other = agent.agent != one.chunk.holder.agent and _may_copy(one, agent, job.account)
    return is_other and _is_gain(one, takes, board.policy) and board.may_have(agent, job, one.chunk)


def _may_copy(one: Straggler, agent: Agent, account: str) -> bool:
    """Three owners; or the renter's own machine for another one of his, or for the house's. Of who stands still no second picture
    is to come."""
    is_his = {one.owner or account, agent.owner} == {account}
    return one.stands or is_his or len({one.owner, agent.owner, account}) == 3


def _is_gain(one: Straggler, takes: int, policy: Policy) -> bool:
    """Of a copy that takes so many seconds."""
    return one.ends - max(takes, one.front_ends) >= max(policy.copy_gain, one.ends // 5)


def _is_paid(board: Board, one: Straggler, paid: Mapping[str, int]) -> bool:
    return _may_cost(board.jobs[one.chunk.job], paid[one.chunk.job], one.work, board.policy)


def _may_cost(job: Job, before: int, work: int, policy: Policy) -> bool:
    """The first copy always."""
    if not policy.copy_percent or job.micro_wu is None:
        return False
    return not before or (before + work) * 100 <= job.micro_wu.expected * policy.copy_percent


def charged(job: Job, work: int, policy: Policy) -> Job:
    """One copy more; the same job where that would be too much by now, whoever has copied of it meanwhile."""
    if not _may_cost(job, job.copied_micro_wu, work, policy):
        return job
    return replace(job, copied_micro_wu=job.copied_micro_wu + work)


def refunded(job: Job, work: int) -> Job:
    """A copy that was charged and not made."""
    return replace(job, copied_micro_wu=max(0, job.copied_micro_wu - work))


def _copy(one: Straggler, now: datetime) -> Chunk:
    original = one.chunk
    return Chunk(
        f"{original.chunk}-c{original.copies + 1}", original.job, original.kind, one.frames, now, generation=original.generation,
        version=original.version, memory_factor=original.memory_factor, copy_of=original.chunk,
    )  # fmt: skip


def copied(original: Chunk) -> Chunk:
    """Remembers that it has one copy more: whoever writes that first has made it."""
    return replace(original, copies=original.copies + 1)


# --- what becomes of them


def twins(chunk: Chunk) -> list[str]:
    """Chunks that have frames in common with it: its original, or its copies."""
    return [chunk.copy_of] if chunk.copy_of else [f"{chunk.chunk}-c{number + 1}" for number in range(chunk.copies)]


def elsewhere(chunk: Chunk, stored: Sequence[int], attempt: str, now: datetime) -> Decided:
    """Storage has these frames from an attempt that is not one of this chunk's."""
    left = set(lacking(chunk))
    found = [frame for frame in stored if frame in left]
    if not found or chunk.state is ChunkState.CLOSED:
        return chunk, []
    return advanced(replace(chunk, elsewhere=ranges([*frames(chunk.elsewhere), *found])), attempt, now)


def superfluous(
    chunk: Chunk, attempt: str, agent: str, version: int, late: Sequence[int], now: datetime, own: Collection[int] = ()
) -> Decided:
    """Storage has these frames from somebody else already. Copies rendered under a good lease are honoured, but for those of
    `own` (`of_one_owner`): of each frame one, whichever attempts bring it how often."""
    ours = [frame for frame in late if any(frame in span for span in chunk.frames)]
    paid = {frame: one.attempt for one in chunk.honoured for frame in frames(one.frames)}
    fresh = [frame for frame in ours if paid.get(frame) != attempt] if knows(chunk, attempt, agent) else []
    honour = [frame for frame in fresh if frame not in paid and frame not in own] if _in_good_faith(chunk, attempt, now) else []
    events: list[Event] = []
    if fresh:  # paid or not, its agent works
        chunk = progressed(chunk, attempt, now)
    if honour:
        chunk = replace(chunk, honoured=delivered_by(chunk.honoured, attempt, agent, honour))
        events.append(CopiesHonoured(job=chunk.job, attempt=attempt, agent=agent, version=version, frames=tuple(honour)))
    chunk, more = elsewhere(chunk, ours, attempt, now)
    return chunk, [*events, *more]


def _in_good_faith(chunk: Chunk, attempt: str, now: datetime) -> bool:
    """A sample has no price by which a copy of it could be paid."""
    if chunk.kind is Kind.SAMPLE:
        return False
    if is_held_by(chunk, attempt):
        return True
    return any(past.attempt == attempt and past.why in HONOURED and now - past.ended_at <= LATE for past in chunk.former)


def at_work_on(near: Sequence[Chunk]) -> set[str]:
    """The agents that have brought frames of these chunks, or may have."""
    return {one.agent for chunk in near for one in (*chunk.deliveries, *_attempts(chunk))}


def of_one_owner(
    near: Sequence[Chunk], attempt: str, agent: str, late: Sequence[int], account: str, owners: Mapping[str, str]
) -> frozenset[int]:
    """Those of these frames that this attempt's owner ordered himself (`account`) or brought first as well: nobody is paid
    for a frame twice. While storage's word on the first picture is on its way it counts as his if he had another attempt at the
    chunk. `near`: the chunk and its twins; `owners` by agent."""
    mine = owners.get(agent)
    if mine is None or mine == account:
        return frozenset(late)
    brought = {frame: owners.get(one.agent) for chunk in near for one in chunk.deliveries for frame in frames(one.frames)}
    had_another = any(one.attempt != attempt and owners.get(one.agent) == mine for chunk in near for one in _attempts(chunk))
    return frozenset(frame for frame in late if (brought[frame] == mine if frame in brought else had_another))


def _attempts(chunk: Chunk) -> Sequence[Former | Holder]:
    return chunk.former if chunk.holder is None else (*chunk.former, chunk.holder)


def _work(curve: Curve, spans: Ranges) -> int:
    return sum(map(curve.wu, frames(spans)))
