"""Work that the deposit pays: what an attempt that inspects, samples or probes has cost, and how much of that counts.

Theory. What a lender says of his CPU time is believed as far as the anchor, rendered by the house, makes it plausible. A job may
end before there is an anchor; what is said then counts for no more than one sample's part of the deposit.
"""

from dataclasses import dataclass

from contracts.events import SampledWork
from contracts.values import Kind, Ranges

SHARES = 5
"""Of the deposit: the samples of a job that is not large (`Policy.samples`). A fifth of the price book's 600 WU is what the time
budget of a sample, 120 s, holds on one core of the reference machine."""


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
