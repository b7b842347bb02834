"""A chunk: the frames one agent takes in one go, who holds them, and what earlier attempts left.

Theory. The holder is the attempt whose lease is good; there is at most one. Frames are stored by whoever brought them, holder or
not: a late frame that is still missing is welcome. An attempt that ends leaves its name and why among the former ones (the last
sixteen), because frames of it may still arrive and be paid. What an attempt's failure means is in domain.tries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from contracts.events import AttemptCancelled, AttemptVoid, Event
from contracts.values import Kind, Ranges, count, frames, ranges
from services.scheduler.domain import spans
from services.scheduler.domain.holding import Holder, went_on
from services.scheduler.domain.quick import replace
from services.scheduler.domain.states import CHUNK_MOVES, HELD_CHUNK, OPEN_CHUNK, ChunkState, check

FORMER = 16
IN_VAIN = "nothing came, of the house"
"""Why it was a failure that an attempt of the house agent ended (domain.tries)."""


class Ending(StrEnum):
    """Why an attempt no longer holds its chunk."""

    FINISHED = "finished"
    NOT_NEEDED = "not needed"
    """We stopped it: job paused or ended, or another attempt's late frames came first."""
    INCOMPLETE = "incomplete"
    """It said it was done, and not every frame was stored in time."""
    GIVEN_BACK = "given back"
    FAILED = "failed"
    LOST = "lost"
    """Not heard of, never picked up, or at its hard end: no frame had come in time."""


@dataclass(frozen=True)
class Former:
    attempt: str
    agent: str
    ended_at: datetime
    why: Ending
    given_at: datetime | None = None


@dataclass(frozen=True)
class Delivery:
    attempt: str
    agent: str
    frames: Ranges


@dataclass(frozen=True)
class Tries:
    """Attempts that failed on a frame (None: on the whole chunk, before any frame); each attempt counts once."""

    frame: int | None
    count: int
    last: str


@dataclass(frozen=True)
class Failure:
    """`fault`: which kind, "refused" for a picture that the store did not take, or that nothing came (domain.tries)."""

    agent: str
    at: datetime
    fault: str = ""


@dataclass(frozen=True)
class Chunk:
    chunk: str
    job: str
    kind: Kind
    frames: Ranges
    opened_at: datetime
    """Since when it waits for an agent (or waited last)."""
    state: ChunkState = ChunkState.QUEUED
    house: bool = False
    """Only a house agent may have it."""
    generation: int = 0
    version: int = 0
    memory_factor: int = 1
    """Doubled each time a container ran out of memory."""
    holder: Holder | None = None
    former: tuple[Former, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    elsewhere: Ranges = ()
    """Frames of this chunk that storage has from attempts we did not see store them here."""
    stored: int = 0
    honoured: tuple[Delivery, ...] = ()
    tries: tuple[Tries, ...] = ()
    failed_on: tuple[Failure, ...] = ()
    copy_of: str = ""
    """The chunk that this one was made to overtake (domain.copies)."""
    copies: int = 0


Decided = tuple[Chunk, list[Event]]


def missing(chunk: Chunk) -> Ranges:
    """Frames of it that nobody has stored."""
    return ranges(lacking(chunk)) if chunk.deliveries or chunk.elsewhere else chunk.frames


def lacking(chunk: Chunk) -> list[int]:
    """The same one by one, in their order."""
    stored = (*(delivery.frames for delivery in chunk.deliveries), chunk.elsewhere)
    have = {frame for each in stored for span in each for frame in span}
    return [frame for span in chunk.frames for frame in span if frame not in have]


def is_open(chunk: Chunk) -> bool:
    return chunk.state in OPEN_CHUNK


def is_held_by(chunk: Chunk, attempt: str) -> bool:
    return chunk.holder is not None and chunk.holder.attempt == attempt


def has_ended(chunk: Chunk, attempt: str, why: Ending | None = None) -> bool:
    """True when this attempt held it before and does no more (for this reason)."""
    return any(past.attempt == attempt and why in (None, past.why) for past in chunk.former)


def knows(chunk: Chunk, attempt: str, agent: str) -> bool:
    """True when this agent had this attempt, now or before."""
    holder = () if chunk.holder is None else ((chunk.holder.attempt, chunk.holder.agent),)
    return (attempt, agent) in (*holder, *((past.attempt, past.agent) for past in chunk.former))


def claimed(chunk: Chunk, holder: Holder) -> Chunk:
    """Given to this attempt. Raises IllegalMove unless it is queued and nobody's."""
    return replace(_to(chunk, ChunkState.ASSIGNED), holder=holder)


def alive(chunk: Chunk, attempt: str) -> Chunk:
    """A sign of life of its holder."""
    if chunk.state is ChunkState.ASSIGNED and is_held_by(chunk, attempt):
        return _to(chunk, ChunkState.RENDERING)
    return chunk


def brought(chunk: Chunk, attempt: str, agent: str, stored: Iterable[int], now: datetime) -> Decided:
    """Storage has these frames of it, from this attempt: the holder's, a former one's, or one we do not remember."""
    if chunk.state is ChunkState.CLOSED:
        return chunk, []
    had = {frame for delivery in chunk.deliveries for frame in frames(delivery.frames)}
    fresh = [frame for frame in stored if frame not in had and any(frame in span for span in chunk.frames)]
    if not fresh:
        return chunk, []
    changed = replace(
        chunk,
        deliveries=delivered_by(chunk.deliveries, attempt, agent, fresh),
        elsewhere=spans.without(chunk.elsewhere, fresh),
    )
    return advanced(progressed(alive(changed, attempt), attempt, now), attempt, now)


def progressed(chunk: Chunk, attempt: str, now: datetime) -> Chunk:
    """A frame of this attempt has been stored: of the holder's, it moves the hard end. The chunk can be begun after all."""
    if any(one.fault == IN_VAIN for one in chunk.failed_on):
        chunk = replace(chunk, failed_on=tuple(one for one in chunk.failed_on if one.fault != IN_VAIN))
    if chunk.holder is None or chunk.holder.attempt != attempt:
        return chunk
    return replace(chunk, holder=went_on(chunk.holder, now))


def answered(chunk: Chunk, attempt: str, now: datetime) -> Decided:
    """An inspection or a probe has said what was asked; no frames are expected."""
    return _finished(chunk, attempt, now) if is_open(chunk) else (chunk, [])


def said_done(chunk: Chunk, attempt: str, now: datetime) -> Chunk:
    """Its agent has nothing left to do; frames may still be in verification."""
    if chunk.holder is None or chunk.holder.attempt != attempt or chunk.holder.done_at is not None:
        return chunk
    return replace(alive(chunk, attempt), holder=replace(chunk.holder, done_at=now))


def gave_up(chunk: Chunk, attempt: str, why: Ending, now: datetime) -> Chunk:
    """The holder is gone; what is missing is queued again. Nothing happens when `attempt` is not the holder."""
    if not is_held_by(chunk, attempt):
        return chunk
    return _again(_past(chunk, why, now), now)


def left(chunk: Chunk, attempt: str, why: Ending, delivered: Ranges, now: datetime) -> Chunk:
    """The holder is gone, and has put these frames into the store first. While storage has not said what they are worth the chunk
    is given to nobody, so that they are not rendered again; `settle` bounds that."""
    awaited = ranges(frame for frame in frames(missing(chunk)) if spans.holds(delivered, frame))
    if not awaited or chunk.holder is None or not is_held_by(chunk, attempt):
        return gave_up(chunk, attempt, why, now)
    return replace(alive(chunk, attempt), holder=replace(chunk.holder, done_at=now, awaited=awaited))


def voided(chunk: Chunk, attempt: str, reason: str, now: datetime) -> Decided:
    """As `gave_up`, told to the agent, which is alive and must stop."""
    if chunk.holder is None or chunk.holder.attempt != attempt:
        return chunk, []
    void = void_of(chunk, attempt, chunk.holder.agent, reason)
    return gave_up(chunk, attempt, Ending.LOST, now), [void]


def void_of(chunk: Chunk, attempt: str, agent: str, reason: str) -> AttemptVoid:
    """What an agent is told whose attempt does not hold the chunk."""
    counted = ranges(f for delivery in chunk.deliveries if delivery.attempt == attempt for f in frames(delivery.frames))
    return AttemptVoid(agent=agent, job=chunk.job, chunk=chunk.chunk, attempt=attempt, stored=counted, reason=reason)


def put_back(chunk: Chunk, reason: str, now: datetime) -> Decided:
    """The job is paused: the attempt stops and the chunk waits."""
    if chunk.state not in HELD_CHUNK:
        return chunk, []
    stop = _stop(chunk, reason)
    return _again(_past(chunk, Ending.NOT_NEEDED, now), now), stop


def closed(chunk: Chunk, reason: str, now: datetime) -> Decided:
    """The job has ended, or this frame is got in another way."""
    if not is_open(chunk):
        return chunk, []
    stop = _stop(chunk, reason)
    return _to(_past(chunk, Ending.NOT_NEEDED, now), ChunkState.CLOSED), stop


def abandoned(chunk: Chunk, attempt: str, now: datetime) -> Chunk:
    """A sample or probe over its budget: its frame is got in another way."""
    if not is_held_by(chunk, attempt):
        return chunk
    return _to(_past(chunk, Ending.FAILED, now), ChunkState.CLOSED)


def _again(chunk: Chunk, now: datetime) -> Chunk:
    """Nobody's again: it waits, unless it is a copy, whose original still has its frames."""
    return _to(chunk, ChunkState.CLOSED) if chunk.copy_of else replace(_to(chunk, ChunkState.QUEUED), opened_at=now)


def _to(chunk: Chunk, state: ChunkState) -> Chunk:
    story = ", ".join(f"{past.attempt} {past.why}" for past in chunk.former)
    check(CHUNK_MOVES, f"chunk {chunk.chunk}", chunk.state, state, story)
    return replace(chunk, state=state)


def _past(chunk: Chunk, why: Ending, now: datetime) -> Chunk:
    if chunk.holder is None:
        return chunk
    former = Former(chunk.holder.attempt, chunk.holder.agent, now, why, chunk.holder.at)
    return replace(chunk, holder=None, former=(*chunk.former, former)[-FORMER:])


def advanced(chunk: Chunk, attempt: str, now: datetime) -> Decided:
    """Counted anew; finished when nothing is missing."""
    whole = count(chunk.frames)
    chunk = replace(chunk, stored=whole - len(lacking(chunk)))
    if chunk.stored < whole or not is_open(chunk):
        return _let_go(chunk, now), []
    return _finished(chunk, attempt, now)


def _let_go(chunk: Chunk, now: datetime) -> Chunk:
    """Of a holder that has left, once all it has put into the store is stored."""
    if chunk.holder is None or not chunk.holder.awaited:
        return chunk
    if not set(lacking(chunk)).isdisjoint(frames(chunk.holder.awaited)):
        return chunk
    return gave_up(chunk, chunk.holder.attempt, Ending.GIVEN_BACK, now)


def _finished(chunk: Chunk, attempt: str, now: datetime) -> Decided:
    """Completed by `attempt`; another one that still works on it is stopped, not punished."""
    overtaken = chunk.holder is not None and chunk.holder.attempt != attempt
    stop = _stop(chunk, "the last of these frames has come from another attempt") if overtaken else []
    why = Ending.NOT_NEEDED if overtaken else Ending.FINISHED
    return _to(_past(chunk, why, now), ChunkState.COMPLETED), stop


def _stop(chunk: Chunk, reason: str) -> list[Event]:
    if chunk.holder is None or chunk.holder.done_at is not None:
        return []
    holder = chunk.holder
    return [AttemptCancelled(agent=holder.agent, job=chunk.job, chunk=chunk.chunk, attempt=holder.attempt, reason=reason)]


def delivered_by(before: tuple[Delivery, ...], attempt: str, agent: str, fresh: Sequence[int]) -> tuple[Delivery, ...]:
    mine = [frame for delivery in before if delivery.attempt == attempt for frame in frames(delivery.frames)]
    others = tuple(delivery for delivery in before if delivery.attempt != attempt)
    return (*others, Delivery(attempt, agent, ranges([*mine, *fresh])))
