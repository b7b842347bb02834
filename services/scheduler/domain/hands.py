"""A hand: one attempt that we gave, or are giving, to an agent; and what the agent's word about it changes."""

from dataclasses import dataclass
from datetime import datetime

from contracts.events import AgentReady
from services.scheduler.domain.quick import replace


@dataclass(frozen=True)
class Hand:
    attempt: str
    chunk: str
    job: str
    since: datetime
    heard: bool = False
    word: int = 0
    """How many readies of the agent had been taken over when it was given."""
    missed_since: datetime | None = None
    """Since when the agent's pulses leave it out after it was heard."""
    gpu: str = ""
    """The agent's GPU it was given; none: its CPU."""
    ending: bool = False
    """The agent says it is about to end: it occupies no slot any more, so that what follows is fetched meanwhile."""


def after_ready(hand: Hand, said: AgentReady) -> Hand:
    after, is_ending = _heard(hand, hand.attempt in said.attempts), hand.attempt in said.ending
    return after if after.ending is is_ending else replace(after, ending=is_ending)


def after_pulse(hand: Hand, is_there: bool, now: datetime) -> Hand:
    if is_there or not hand.heard:
        return _heard(hand, is_there)
    return hand if hand.missed_since is not None else replace(hand, missed_since=now)


def _heard(hand: Hand, is_there: bool) -> Hand:
    is_news = is_there and (not hand.heard or hand.missed_since is not None)
    return replace(hand, heard=True, missed_since=None) if is_news else hand
