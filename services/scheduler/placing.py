"""What a round of giving out works with: agents that ask, and slots on their way to chunks."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.chassis.repository import Change, Decide, New, Saved
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.job import Job


@dataclass(frozen=True)
class Asking:
    """An agent with what it has just said; `decide` takes it over on any state of the agent, should the first write be lost."""

    saved: Saved[Agent]
    decide: Decide[Agent]


@dataclass(frozen=True)
class Placed:
    """A slot on its way to a chunk: `chunk` is queued already, or still to be inserted (`fresh`)."""

    agent: str
    job: Job
    hand: Hand
    chunk: Chunk
    fresh: bool


@dataclass(frozen=True, eq=False)
class Round:
    """What a round has decided and still has to write; its slots are reserved.

    `changes`: marks, then a claim for each of `taken`. `new`: a chunk for each of `fresh`, claimed where its attempt has
    `won` its slot."""

    changes: Sequence[Change[Chunk]]
    new: Sequence[New[Chunk]]
    taken: Sequence[Placed]
    fresh: Sequence[Placed]
    won: frozenset[str]
