"""Lenders who choose by hand: what each is asked about a job, and what he said.

Theory. One choice per lender and job. He is asked when a machine of his that takes nothing unasked could take the job otherwise,
told again when more is known of it, and may answer as often as he likes: the answer with the highest revision counts, in whatever
order they come. It is over when nothing of the job is given out any more; should the job be taken up again, so is the choice,
with what he said. Matching looks only at `Agent.chosen`, a copy of the yeses that is brought in line after every answer and by a
sweep; a choice speaks for its own lender's machines, nobody else's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.events import Event, JobOffered, OfferAnswered, OfferWithdrawn
from contracts.values import Band
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.job import Job, bid
from services.scheduler.domain.matching import Board
from services.scheduler.domain.memory import need
from services.scheduler.domain.orders import by_hand
from services.scheduler.domain.states import CHOICE_MOVES, AgentState, ChoiceState, JobState, check

MOST_ASKED = 50
"""Open questions to one lender; the best paid come first."""
MOST_OF_RENTER = 10
"""Of those, of one renter's jobs: nobody fills a lender's list alone."""
MOST_CHOSEN = 100
"""Yeses that one machine remembers."""
MOST_AGENTS = 64
OFFERED = frozenset({JobState.ESTIMATING, JobState.QUEUED, JobState.RENDERING})
"""Looked into, and with something to give out."""


@dataclass(frozen=True)
class Facts:
    """What is told of the job."""

    renter: str
    agents: tuple[str, ...]
    bundle_bytes: int
    frames: int
    engine: str
    memory_bytes: int
    price: int
    micro_wu: Band | None = None
    thumbnail: int | None = None


@dataclass(frozen=True)
class Choice:
    owner: str
    job: str
    facts: Facts
    state: ChoiceState = ChoiceState.ASKED
    revision: int = 0
    answer: int = 0
    """Revision of the answer that counts."""
    agents: tuple[str, ...] = ()
    """Whom the yes is for; empty: all of the lender's."""
    accepted: bool | None = None
    """The answer that counts."""
    ended_at: datetime | None = None

    @property
    def id(self) -> str:
        return id_of(self.owner, self.job)


Decided = tuple[Choice, list[Event]]


class Foreign(Exception):
    """An answer that speaks for somebody else's machine or choice."""


def id_of(owner: str, job: str) -> str:
    return f"{owner}:{job}"


def asked(owner: str, job: str, facts: Facts) -> Decided:
    return _told(Choice(owner, job, facts))


def known_better(choice: Choice, facts: Facts) -> Decided:
    """Told again when something is new. Machines only join: who sleeps today may render tomorrow."""
    joined = tuple(sorted({*choice.facts.agents, *facts.agents}))[:MOST_AGENTS]
    thumbnail = choice.facts.thumbnail if choice.facts.thumbnail is not None else facts.thumbnail
    now_is = replace(facts, agents=joined, thumbnail=thumbnail)
    if choice.state is ChoiceState.OVER or now_is == choice.facts:
        return choice, []
    return _told(replace(choice, facts=now_is))


def asked_again(choice: Choice, facts: Facts) -> Decided:
    """Its job was taken up again after its end."""
    if choice.state is not ChoiceState.OVER:
        return choice, []
    state = ChoiceState.ASKED if choice.accepted is None else _of(choice.accepted)
    check(CHOICE_MOVES, f"choice {choice.id}", choice.state, state)
    return _told(replace(choice, state=state, facts=facts, ended_at=None))


def answered(choice: Choice, said: OfferAnswered) -> Choice:
    """Older answers change nothing; one that comes when it is over is kept for the day the job is taken up again. Raises
    Foreign."""
    if (choice.owner, choice.job) != (said.owner, said.job):
        raise Foreign(f"{said.owner} answers for {choice.owner}")
    if said.revision <= choice.answer:
        return choice
    agents = said.agents if said.accepted else ()
    heard = replace(choice, answer=said.revision, accepted=said.accepted, agents=agents)
    if choice.state in (ChoiceState.OVER, _of(said.accepted)):
        return heard
    check(CHOICE_MOVES, f"choice {choice.id}", choice.state, _of(said.accepted))
    return replace(heard, state=_of(said.accepted))


def _of(accepted: bool) -> ChoiceState:
    return ChoiceState.ACCEPTED if accepted else ChoiceState.REJECTED


def over(choice: Choice, reason: str, now: datetime) -> Decided:
    if choice.state is ChoiceState.OVER:
        return choice, []
    check(CHOICE_MOVES, f"choice {choice.id}", choice.state, ChoiceState.OVER)
    ended = replace(choice, state=ChoiceState.OVER, revision=choice.revision + 1, ended_at=now)
    return ended, [OfferWithdrawn(owner=ended.owner, job=ended.job, revision=ended.revision, reason=reason[:2000])]


def chosen(agent: Agent, choices: Iterable[Choice]) -> tuple[str, ...]:
    """Jobs that this agent's own lender said yes to for it."""
    yes = (
        one.job
        for one in choices
        if one.state is ChoiceState.ACCEPTED and one.owner == agent.owner and (not one.agents or agent.agent in one.agents)
    )
    return tuple(sorted(yes))[:MOST_CHOSEN]


def facts_of(job: Job, agents: Sequence[str]) -> Facts:
    assert job.asked is not None
    first = next((sample.frame for sample in job.samples if sample.kept), None)
    return Facts(
        renter=job.account,
        agents=tuple(sorted(agents))[:MOST_AGENTS],
        bundle_bytes=job.asked.bundle_bytes,
        frames=job.total,
        engine=job.facts.engine if job.facts else "",
        memory_bytes=need(job),
        price=bid(job),
        micro_wu=job.micro_wu,
        thumbnail=first,
    )


def is_offered(job: Job) -> bool:
    return job.state in OFFERED and job.asked is not None and job.picture is not None


def unasked(agent: Agent) -> Agent:
    """The same machine as if it were free and took whatever its rules allow: whoever could take a job then is asked about it."""
    assert agent.accepts is not None
    rules = agent.accepts.model_copy(update={"by_hand": False})
    return replace(agent, state=AgentState.ONLINE, slots=max(1, agent.slots), closed_since=None, accepts=rules)


def could_take(board: Board, agents: Sequence[Agent], job: Job) -> list[str]:
    """Of these `unasked` ones."""
    return [agent.agent for agent in agents if board.able(agent, job, None)]


def choosers(board: Board) -> dict[str, list[Agent]]:
    """Lender → his machines that choose by hand and are heard."""
    found: dict[str, list[Agent]] = {}
    for agent in board.fleet:
        if by_hand(agent):
            found.setdefault(agent.owner, []).append(agent)
    return found


def selected(jobs: Iterable[Job], known: Sequence[Choice]) -> list[Job]:
    """Which of these jobs the lender is asked about besides what he was asked before: the best paid, of each renter some."""
    waiting = [one for one in known if one.state is ChoiceState.ASKED]
    of_renter = Counter(one.facts.renter for one in waiting)
    there = {one.job for one in known}
    found: list[Job] = []
    for job in sorted(jobs, key=lambda one: (-bid(one), one.created_at)):
        if len(waiting) + len(found) >= MOST_ASKED:
            break
        if job.job not in there and of_renter[job.account] < MOST_OF_RENTER:
            of_renter[job.account] += 1
            found.append(job)
    return found


def _told(choice: Choice) -> Decided:
    choice, facts = replace(choice, revision=choice.revision + 1), choice.facts
    event = JobOffered(
        owner=choice.owner,
        job=choice.job,
        revision=choice.revision,
        renter=facts.renter,
        agents=facts.agents,
        bundle_bytes=facts.bundle_bytes,
        frames=facts.frames,
        engine=facts.engine,
        memory_bytes=facts.memory_bytes,
        price=facts.price,
        micro_wu=facts.micro_wu,
        thumbnail=facts.thumbnail,
    )
    return choice, [event]
