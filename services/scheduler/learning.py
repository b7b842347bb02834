"""How fast agents really are: stored frames are noted as they come and folded into the agents' documents now and then.

What is noted and not yet folded dies with the process; it is policy, not truth. Samples teach nothing: a frame alone in its
process is slow for the process's sake, and its work is only the agent's own word.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from contracts.events import FramesStored
from contracts.values import MICRO, Kind
from contracts.work import work
from services.scheduler import metrics
from services.scheduler.domain import pace
from services.scheduler.domain.agent import Agent, Decided, benchmark_of, learned
from services.scheduler.domain.job import Job
from services.scheduler.domain.quick import replace
from services.scheduler.domain.standing import verified
from services.scheduler.repository import Agents, Jobs


@dataclass(frozen=True)
class Shown:
    frame: int
    cpu_micros: int
    wall_micros: int


class Learning:
    def __init__(self, jobs: Jobs, agents: Agents) -> None:
        self._jobs, self._agents = jobs, agents
        self._shown: dict[tuple[str, str], list[Shown]] = defaultdict(list)

    def note(self, event: FramesStored) -> None:
        for frame in event.frames:
            if frame.seconds > 0 and event.kind is Kind.RENDER:
                shown = Shown(frame.frame, frame.cpu_micros, int(frame.seconds * MICRO))
                self._shown[event.agent, event.job].append(shown)

    async def fold(self) -> None:
        """One step of learning per agent and job since the last time."""
        taken, self._shown = self._shown, defaultdict(list)
        jobs = await self._jobs.get_many({job for _, job in taken})
        for (agent, job), shown in taken.items():
            await self._fold_one(agent, jobs.get(job), shown)

    async def _fold_one(self, agent: str, job: Job | None, shown: list[Shown]) -> None:
        known = await self._agents.get(agent)
        if known is not None:
            done, wall = sum(_work(known, job, one) for one in shown), sum(one.wall_micros for one in shown)
            await self._agents.update(
                agent, lambda state, now: _delivered(_learned(state, job, done, wall), job, len(shown), now)
            )


def _learned(agent: Agent, job: Job | None, done: int, wall: int) -> Decided:
    """In general and on this job."""
    return learned(agent if job is None else pace.measured(agent, job.job, done, wall), done, wall)


def _delivered(decided: Decided, job: Job | None, number: int, now: datetime) -> Decided:
    """The store has verified so many frames of it."""
    agent, events = decided
    if job is None:
        return decided
    return replace(agent, standing=verified(agent.standing, job.account, agent.owner, number, now)), events


def _work(agent: Agent, job: Job | None, one: Shown) -> int:
    """By the job's own curve where there is one: no agent's word about its CPU time makes it faster."""
    measured = work(one.cpu_micros, benchmark_of(agent))
    if job is None or job.curve is None:
        return measured
    quoted = job.curve.wu(one.frame)
    metrics.QUOTE_WORK.labels("measured").inc(measured)
    metrics.QUOTE_WORK.labels("quoted").inc(quoted)
    return quoted
