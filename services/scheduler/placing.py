"""What a round of giving out works with: agents that ask, and slots on their way to chunks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.chassis.repository import Change, Decide, Decision, New, Saved
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.devices import gpu_for
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.job import Job
from services.scheduler.domain.quick import replace


@dataclass(frozen=True)
class Asking:
    """An agent with what it has just said; `decide` takes it over on any state of the agent, should the first write be lost."""

    saved: Saved[Agent]
    decide: Decide[Agent]


def as_it_is(agent: Agent, _: datetime) -> Decision[Agent]:
    """Who has said nothing new."""
    return agent, []


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
    `won` its slot; agents whose attempts have not are `beaten`."""

    changes: Sequence[Change[Chunk]]
    new: Sequence[New[Chunk]]
    taken: Sequence[Placed]
    fresh: Sequence[Placed]
    won: frozenset[str]
    beaten: frozenset[str]


def with_gpus(placed: Sequence[Placed], fleet: Mapping[str, Agent], image: str) -> Iterator[Placed]:
    """Each GPU is given once, also when several of an agent's slots are filled together. `image` is the one that has kernels."""
    given: dict[str, set[str]] = defaultdict(set)
    for one in placed:
        gpu = gpu_for(one.job, one.chunk, fleet[one.agent], given[one.agent], image)
        given[one.agent].add(gpu)
        yield replace(one, hand=replace(one.hand, gpu=gpu)) if gpu else one
