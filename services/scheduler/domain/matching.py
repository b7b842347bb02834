"""Who gets what: agents with free slots on one side, queued chunks and jobs with uncut frames on the other.

What leads to a quote first (samples are few and short), then whose turn it is (domain.ranking).
Staleness of what this sees costs a little fairness, never correctness: claims are conditional writes.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from contracts.values import Kind
from services.scheduler.domain import audience, doubts, evidence
from services.scheduler.domain.agent import Agent, free_slots, is_barred
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.cutting import remaining
from services.scheduler.domain.job import Job
from services.scheduler.domain.line import Line
from services.scheduler.domain.memory import need
from services.scheduler.domain.orders import accepts, waits_for_yes
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.ranking import Farm, Rank, Turns, is_near
from services.scheduler.domain.states import AgentState, JobState


@dataclass(frozen=True)
class Offer:
    """A slot of this agent for this queued chunk, or (None) for a chunk to be cut from the job."""

    agent: str
    job: str
    chunk: Chunk | None = None


@dataclass
class Board:
    """What can be given out and by whom it could be taken, as of `now`."""

    now: datetime
    policy: Policy
    image: str
    jobs: Mapping[str, Job]
    """Open ones only: whose turn may come now."""
    fleet: Sequence[Agent]
    """Every agent that is online."""
    queued: list[Chunk]
    running: Counter[str] = field(default_factory=Counter)
    """Attempts per job."""
    served: Mapping[str, datetime] = field(default_factory=dict)
    """When each renter last got a chunk."""
    known_slots: dict[str, int] = field(default_factory=dict)
    """Counted before, for boards that see the same fleet."""
    unbegun: Mapping[str, Job] = field(default_factory=dict)
    """Jobs that wait for their scheduled start, or for the farm to go on."""
    _free: dict[str, int] = field(default_factory=dict)
    """Slots of those who ask, that are left in this round."""
    _has_deferred: bool = False
    _bundles: dict[str, list[str]] = field(default_factory=dict)
    """Jobs to be cut, by their bundle."""
    _line: Line = field(init=False)
    _offered: set[tuple[str, str]] = field(default_factory=set)
    """(job, agent) of this round."""
    _needs: dict[tuple[str, int], int] = field(default_factory=dict)
    """Bytes, by job and by how much more than usual a chunk asks for."""
    _uncut: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._uncut = {job.job for job in self.jobs.values() if job.uncut and job.state in (JobState.QUEUED, JobState.RENDERING)}
        for job in self._uncut:
            self._bundles.setdefault(self._bundle(job), []).append(job)

    # --- of all jobs or of the whole fleet, and asked for in few rounds

    @cached_property
    def _turns(self) -> Turns:
        return Turns(self.jobs, self.running, self.served, self.now, self.policy)

    @cached_property
    def _rank(self) -> Callable[[str], Rank]:
        """Not a method: the line keeps it, and a board that holds itself waits for the collector."""
        return self._turns.rank

    @cached_property
    def _largest(self) -> int:
        """Most memory that an agent of the fleet has."""
        return max(map(_memory, self.fleet), default=0)

    @cached_property
    def _fastest(self) -> int:
        return max([agent.micro_wu_per_minute for agent in self.fleet], default=0)

    @cached_property
    def _usual(self) -> int:
        """Micro-WU a minute of a whole machine, in the middle of the fleet."""
        return evidence.usual(agent.micro_wu_per_minute * agent.slots for agent in self.fleet if agent.slots)

    @cached_property
    def _slots_there(self) -> int:
        return sum([agent.slots for agent in self.fleet])

    @cached_property
    def _busy(self) -> set[tuple[str, str]]:
        """(job, agent) of those at work, and of those that sampled it."""
        in_hand = {(hand.job, agent.agent) for agent in self.fleet for hand in agent.hands}
        return in_hand | {(job.job, one.agent) for job in self.jobs.values() for one in job.measured if one.kind is Kind.SAMPLE}

    def everybody(self) -> Mapping[str, Job]:
        """All that something may be promised to."""
        return {**self.unbegun, **self.jobs} if self.unbegun else self.jobs

    def has_work(self) -> bool:
        return bool(self.queued or self._uncut)

    def offers(self, agents: Sequence[Agent]) -> list[Offer]:
        """At most one per free slot. Every queued chunk is offered once; a job to be cut as often as there are takers."""
        made: list[Offer] = []
        self._free = {agent.agent: free_slots(agent) for agent in agents}
        if any(job.asked is not None and job.asked.limits.deadline is not None for job in self.jobs.values()):
            self._turns.hurry(self._farm(), self.queued)
        self._line = Line(self._uncut, self._rank)
        order = sorted(agents, key=lambda one: (one.house, -self._worth(one)))
        while self._one_pass(order, made) and self._has_deferred:
            pass
        return made

    def _one_pass(self, order: Sequence[Agent], made: list[Offer]) -> bool:
        """True when somebody got something; those who stood back for agents that a renter likes better may come once more."""
        before, self._has_deferred = len(made), False
        for agent in order:
            while self._free[agent.agent] > 0 and (offer := self._best(agent)) is not None:
                self._free[agent.agent] -= 1
                made.append(offer)
                self._note(offer)
        return len(made) > before

    def _worth(self, agent: Agent) -> int:
        """Who is asked first: speed, by how reliable it was, and a little more for having a bundle that is wanted."""
        gain = 0 if self._bundles.keys().isdisjoint(agent.bundles) else self.policy.cached_gain_percent
        return agent.micro_wu_per_minute * agent.standing.reliability * (100 + gain)

    def _best(self, agent: Agent) -> Offer | None:
        chunks = [chunk for chunk in self.queued if self.may_have(agent, self.jobs[chunk.job], chunk)]
        best = min(chunks, key=lambda chunk: (chunk.kind is Kind.RENDER, self._rank(chunk.job), chunk.opened_at), default=None)
        job = self._at_hand(agent, self._line.first(lambda one: self.may_have(agent, self.jobs[one], None)))
        if best is not None and (job is None or best.kind is not Kind.RENDER or self._rank(best.job) <= self._rank(job)):
            return Offer(agent.agent, best.job, best)
        return None if job is None else Offer(agent.agent, job)

    def _at_hand(self, agent: Agent, best: str | None) -> str | None:
        """Of jobs whose turn it nearly is, one whose bundle the agent has."""
        if best is None or not agent.bundles or self._bundle(best) in agent.bundles:
            return best
        first, has = self._rank(best), [job for bundle in agent.bundles for job in self._bundles.get(bundle, ())]
        near = [job for job in has if is_near(self._rank(job), first, self.policy) and self.may_have(agent, self.jobs[job], None)]
        return min(near, key=self._rank, default=best)

    def _bundle(self, job: str) -> str:
        asked = self.jobs[job].asked
        return asked.bundle if asked else ""

    def _farm(self) -> Farm:
        """The lenders' agents; the house's only while there is no other, as in `speed`."""
        online = [agent for agent in self.fleet if agent.state is AgentState.ONLINE and agent.slots]
        counted = [agent for agent in online if not agent.house] or online
        return Farm(sum(one.slots for one in counted), sum(map(self._part, counted)))

    def _part(self, agent: Agent) -> int:
        return evidence.part(agent.micro_wu_per_minute, agent.slots, agent.evidence, self._usual)

    def _note(self, offer: Offer) -> None:
        self._turns.note(offer.job)
        self._offered.add((offer.job, offer.agent))
        if offer.chunk is not None:
            self.queued = [chunk for chunk in self.queued if chunk.chunk != offer.chunk.chunk]

    def may_have(self, agent: Agent, job: Job, chunk: Chunk | None) -> bool:
        """Whether this agent may take this chunk (None: one to be cut) of this job."""
        if not self.able(agent, job, chunk) or (chunk is not None and self._is_early(agent, job, chunk)):
            return False
        if agent.house and not (chunk is not None and chunk.house) and not self._stands_in(job, chunk):
            return False
        if self._stands_back(agent, job, chunk):
            return False
        return chunk is None or chunk.kind is not Kind.SAMPLE or chunk.house or self._is_turn(agent, job, chunk)

    def able(self, agent: Agent, job: Job, chunk: Chunk | None) -> bool:
        """Online with our image and enough memory, not kept off the job, its lender takes it; or the house agent asked for."""
        return self._fits(agent, job, chunk) and ((chunk is not None and chunk.house) or accepts(agent, job))

    def _fits(self, agent: Agent, job: Job, chunk: Chunk | None) -> bool:
        if agent.state is not AgentState.ONLINE or agent.slots == 0 or agent.closed_since or self.image not in agent.images:
            return False
        if chunk is not None and chunk.house:
            return agent.house
        if doubts.holds(job.doubts, self.policy.doubters) or is_barred(agent, job.job, self.now):
            return False
        return self._place(agent, job) is not None and self._has_memory(agent, job, chunk)

    def _place(self, agent: Agent, job: Job) -> int | None:
        return audience.place(agent, job, self.now, self.policy)

    def _stands_back(self, agent: Agent, job: Job, chunk: Chunk | None) -> bool:
        """For an agent that the renter likes better, as long as there is one with a free slot that could take it."""
        mine = self._place(agent, job) if len(audience.wishes(job)) > 1 else 0
        if not mine or (chunk is not None and chunk.house):
            return False
        for other in self.fleet:
            theirs = self._place(other, job) if self._free.get(other.agent, free_slots(other)) > 0 else None
            is_late = chunk is None or not self._is_early(other, job, chunk)
            if theirs is not None and theirs < mine and is_late and self.able(other, job, chunk):
                self._has_deferred = True
                return True
        return False

    def speed(self, job: Job) -> int:
        """Micro-WU a minute of all agents that could render this job; the house's only when no lender could."""
        able = [agent for agent in self.fleet if self.able(agent, job, None)]
        lenders = [agent for agent in able if not agent.house]
        return sum(map(self._part, lenders or able))

    def slots(self, job: Job) -> int:
        if job.job not in self.known_slots:
            self.known_slots[job.job] = self._slots(job)
        return self.known_slots[job.job]

    def _slots(self, job: Job) -> int:
        able = [agent for agent in self.fleet if self.able(agent, job, None)]
        lenders = [agent for agent in able if not agent.house]
        return sum(agent.slots for agent in lenders or able)

    def share(self, job: Job) -> int:
        """Slots that are likely to work on this job until its end: those that do, or its even share if that is more. Who could
        is only asked when it makes a difference: not while so much is left that even all slots would leave chunks as they are."""
        most = self._share(job, self._slots_there)
        return most if remaining(job) > 2 * most * self._fastest * self.policy.chunk // 60 else self._share(job, self.slots(job))

    def _share(self, job: Job, slots: int) -> int:
        return min(slots, max(self.running[job.job], slots // max(1, len(self._uncut))))

    def waits(self) -> dict[str, str]:
        """Jobs that nobody is on and nobody could be, each with the reason in a renter's words."""
        found = {job: self._nobody(self.jobs[job], None) for job in self._uncut}
        found |= {chunk.job: self._nobody(self.jobs[chunk.job], chunk) for chunk in self.queued}
        return {job: why for job, why in found.items() if why and not self.running[job]}

    def _nobody(self, job: Job, chunk: Chunk | None) -> str:
        if any(self.able(agent, job, chunk) for agent in self.fleet):
            return ""
        if chunk is not None and chunk.house:
            return "waiting for the house agent, which is not online"
        if not any(agent.state is AgentState.ONLINE for agent in self.fleet):
            return "waiting for an agent: none is online"
        if doubts.holds(job.doubts, self.policy.doubters):
            return "waiting for the house agent to look at a fault in the scene that lenders have reported"
        if not any(self._place(agent, job) is not None for agent in self.fleet):
            return "waiting for a lender you allow: none of those online is one"
        if any(self._fits(agent, job, chunk) and waits_for_yes(agent, job) for agent in self.fleet):
            return "waiting for a lender to say yes: those online who would take it choose by hand"
        if any(self._fits(agent, job, chunk) for agent in self.fleet):
            return "waiting for a lender who takes this work at this price: none of those online does"
        return "waiting for an agent with enough memory that may take this job"

    def _has_memory(self, agent: Agent, job: Job, chunk: Chunk | None) -> bool:
        """Enough, or as much as any: after running out of memory the largest one tries."""
        has, factor = _memory(agent), 1 if chunk is None else chunk.memory_factor
        if (job.job, factor) not in self._needs:
            self._needs[job.job, factor] = need(job, factor)
        return has >= self._needs[job.job, factor] or has >= self._largest

    def _is_early(self, agent: Agent, job: Job, chunk: Chunk) -> bool:
        """What is known of the job is older than the chunk, or the agent has just failed on it."""
        if chunk.version > job.version or (job.picture is None and chunk.kind is not Kind.INSPECT):
            return True
        wait = self.policy.after("retry_same")
        return any(failure.agent == agent.agent and self.now - failure.at < wait for failure in chunk.failed_on)

    def _stands_in(self, job: Job, chunk: Chunk | None) -> bool:
        """A house agent takes ordinary work when no lender could, or none has for long."""
        if chunk is not None and self.now - chunk.opened_at > self.policy.after("house_stands_in"):
            return True
        return not any(self.able(agent, job, chunk) for agent in self.fleet if not agent.house)

    def _is_turn(self, agent: Agent, job: Job, chunk: Chunk) -> bool:
        """Samples of a job go to agents that have none of it, while there are such, for a short while."""
        if self._is_new_to(agent, job) or self.now - chunk.opened_at > self.policy.after("sample_spread"):
            return True
        return not any(self._is_new(other, job, chunk) for other in self.fleet)

    def _is_new_to(self, agent: Agent, job: Job) -> bool:
        return (job.job, agent.agent) not in self._busy and (job.job, agent.agent) not in self._offered

    def _is_new(self, agent: Agent, job: Job, chunk: Chunk) -> bool:
        """A lender's that has no sample of this job and could take this one."""
        is_strange = not agent.house and self._is_new_to(agent, job)
        return is_strange and self.able(agent, job, chunk) and not self._is_early(agent, job, chunk)


def _memory(agent: Agent) -> int:
    return agent.hardware.memory_bytes if agent.hardware else 0
