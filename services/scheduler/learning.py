"""How fast agents really are: stored frames are noted as they come and folded into the agents' documents now and then.

Beside the time that an agent says its frames took stands the time that we saw pass: from when it was given the attempt, or last
brought frames of it, until the store had these. Frames of an attempt that holds its chunk no more teach nothing; nor do samples:
a frame alone in its process is slow for the process's sake, and its work is only the agent's own word.

What is noted and not yet folded dies with the process and not otherwise; it is policy, not truth.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from contracts.events import FramesStored
from contracts.values import MICRO, Kind
from contracts.work import work
from services.scheduler import metrics
from services.scheduler.domain import evidence, pace
from services.scheduler.domain.agent import Agent, Decided, benchmark_of, learned
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.evidence import Shown
from services.scheduler.domain.job import Job
from services.scheduler.domain.quick import replace
from services.scheduler.domain.standing import verified
from services.scheduler.folding import kept_while_away, one_by_one
from services.scheduler.repository import Agents, Jobs

FORGOTTEN = timedelta(hours=1)
Key = tuple[str, str]
"""(agent, job)."""


@dataclass(frozen=True)
class Rendered:
    frame: int
    cpu_micros: int
    wall_micros: int


class Attempts:
    """When each attempt last brought something, as far as this process remembers."""

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}

    def passed(self, attempt: str, given_at: datetime, now: datetime) -> int:
        """Microseconds that count since it last brought something, or was given its chunk."""
        last = self._at.get(attempt)
        self._at[attempt] = now
        return evidence.counted(now - (last or given_at), is_first=last is None)

    def end(self, attempts: Iterable[str]) -> None:
        for attempt in attempts:
            self._at.pop(attempt, None)

    def forget(self, now: datetime) -> None:
        """Those that ended in another way."""
        self._at = {attempt: at for attempt, at in self._at.items() if now - at < FORGOTTEN}


class Learning:
    def __init__(self, jobs: Jobs, agents: Agents) -> None:
        self._jobs, self._agents, self._attempts = jobs, agents, Attempts()
        self._rendered: dict[Key, list[Rendered]] = defaultdict(list)
        self._passed: dict[Key, int] = defaultdict(int)

    def note(self, event: FramesStored, given_at: datetime | None, now: datetime) -> None:
        """`given_at`: when its attempt was given the chunk; None when it does not hold it."""
        if event.kind is not Kind.RENDER or given_at is None:
            return
        self._passed[event.agent, event.job] += self._attempts.passed(event.attempt, given_at, now)
        for frame in event.frames:
            rendered = Rendered(frame.frame, frame.cpu_micros, int(frame.seconds * MICRO))
            self._rendered[event.agent, event.job].append(rendered)

    def done(self, chunk: Chunk) -> None:
        """Nothing more of it is measured."""
        self._attempts.end(one.attempt for one in chunk.former)

    async def fold(self) -> None:
        """One step of learning per agent and job since the last time."""
        jobs = await self._jobs.get_many({job for _, job in self._rendered})
        if self._rendered:
            self._attempts.forget(await self._agents.now())
        await one_by_one(self._rendered, partial(self._fold_one, jobs))

    async def _fold_one(self, jobs: Mapping[str, Job], key: Key) -> None:
        (agent, job), rendered, passed = key, self._rendered.pop(key), self._passed.pop(key, 0)
        with kept_while_away(lambda: self._put_back(key, rendered, passed)):
            await self._show(agent, jobs.get(job), rendered, passed)

    def _put_back(self, key: Key, rendered: list[Rendered], passed: int) -> None:
        self._rendered[key] = rendered + self._rendered[key]
        self._passed[key] += passed

    async def _show(self, agent: str, job: Job | None, rendered: list[Rendered], passed: int) -> None:
        known = await self._agents.get(agent)
        if known is None:
            return
        works = [_works(known, job, one) for one in rendered]
        shown = Shown(sum(work for work, _ in works), sum(one.wall_micros for one in rendered), passed)
        await self._agents.update(agent, lambda state, now: _delivered(_learned(state, job, shown), job, len(rendered), now))
        if job is not None and job.curve is not None:
            metrics.QUOTED_WORK.inc(sum(quoted for quoted, _ in works))
            metrics.MEASURED_WORK.inc(sum(measured for _, measured in works))


def _learned(agent: Agent, job: Job | None, shown: Shown) -> Decided:
    """In general and on this job."""
    return learned(agent if job is None else pace.measured(agent, job.job, shown), shown)


def _delivered(decided: Decided, job: Job | None, number: int, now: datetime) -> Decided:
    """The store has verified so many frames of it."""
    agent, events = decided
    if job is None:
        return decided
    return replace(agent, standing=verified(agent.standing, job.account, agent.owner, number, now)), events


def _works(agent: Agent, job: Job | None, one: Rendered) -> tuple[int, int]:
    """What counts, and what its agent measured. By the job's own curve where there is one: no agent's word about its CPU time
    makes it faster."""
    measured = work(one.cpu_micros, benchmark_of(agent))
    return (measured if job is None or job.curve is None else job.curve.wu(one.frame)), measured
