"""Work that the deposit pays: what an attempt that inspects, samples or probes has cost, and how much of that counts.

Theory. What a lender says of his CPU time is believed as far as the anchor, rendered by the house, makes it plausible. A job may
end before there is an anchor; what is said then counts for no more than one sample's part of the deposit. And nobody works for
longer than he has had the attempt: both ends of that time are the database's, and an honest agent begins a little later. Who says
that a frame has used up its time budget, before that can be, has failed.
"""

from dataclasses import dataclass
from datetime import datetime

from contracts.events import SampledWork
from contracts.values import Kind, Ranges
from services.scheduler.domain.chunk import Chunk

SHARES = 5
"""Of the deposit: the samples of a job that is not large (`Policy.samples`). A fifth of the price book's 600 WU is what the time
budget of a sample, 120 s, holds on one core of the reference machine."""
USED_UP_PERCENT = 90
"""Of its time budget: the clocks of agents are not ours."""


@dataclass(frozen=True)
class Measured:
    """Work of one inspecting, sampling or probing attempt, within its time budget but not yet held against the anchor's."""

    attempt: str
    agent: str
    kind: Kind
    micro_wu: int
    frames: Ranges = ()
    anchor: bool = False


def plausible(anchor: int | None, factor: int, deposit: int) -> int:
    """The most that one attempt of a stranger's counts for: so many times the anchor's work, or its share while there is none."""
    return deposit // SHARES if anchor is None else factor * anchor


def counted(one: Measured, most: int) -> SampledWork:
    """The house's word on the scene and on the anchor is taken as it is."""
    work = one.micro_wu if one.anchor or one.kind is Kind.INSPECT else min(one.micro_wu, most)
    return SampledWork(attempt=one.attempt, agent=one.agent, kind=one.kind, frames=one.frames, micro_wu=work)


def seconds(chunk: Chunk | None, attempt: str, is_house: bool, budget: int, now: datetime) -> float:
    """How long an attempt can have worked by now: for its time budget, and since it was given, where that is known."""
    given_at = None if chunk is None or is_house else _given_at(chunk, attempt)
    if given_at is None or now < given_at:  # the database's clock was put back
        return budget
    return min(budget, (now - given_at).total_seconds())


def is_used_up(chunk: Chunk, attempt: str, is_house: bool, budget: int, now: datetime) -> bool:
    """Whether its time budget can be, as it says."""
    return seconds(chunk, attempt, is_house, budget, now) * 100 >= budget * USED_UP_PERCENT


def _given_at(chunk: Chunk, attempt: str) -> datetime | None:
    if chunk.holder is not None and chunk.holder.attempt == attempt:
        return chunk.holder.at
    return next((past.given_at for past in chunk.former if past.attempt == attempt), None)
