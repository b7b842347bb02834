"""What a round of giving out works with: agents that ask, and slots on their way to chunks."""

from dataclasses import dataclass

from services.chassis.repository import Decide, Saved
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
