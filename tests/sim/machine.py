"""A lender's machine in virtual time: takes what its mailbox says, renders frame by frame, pulses, and may be gone."""

import random
from dataclasses import dataclass
from typing import Protocol

from contracts.events import (
    AgentPulse,
    AgentReady,
    AttemptCancelled,
    AttemptInHand,
    AttemptVoid,
    ChunkAssigned,
    ChunkCompleted,
    ChunkFailed,
    ChunkReleased,
    Event,
    Fault,
    InspectionReported,
    ProbeMeasured,
    Release,
)
from contracts.grants import Grant
from contracts.values import Benchmark, Hardware, Kind, frames
from contracts.work import BENCHMARK_MICRO_WU
from tests.sim.setting import Nature
from tests.sim.virtual import Time
from tests.unit.scheduler.builders import GIB, IMAGE, some_facts

START = 1.75
"""Seconds from an assignment to its first frame's beginning (measured: tests/bench/bench_startup.py)."""
FETCH = 5.0
"""Seconds to download a job's bundle, once per machine."""
UPLOAD = 0.4
"""Seconds from the last frame to its having been taken over by the store."""
PULSE = 10.0
SURVEY = 3.0
PROBE_COST = 0.25
HARDWARE = Hardware(cores=1, memory_bytes=4 * GIB)


class Wire(Protocol):
    """What a machine can reach."""

    time: Time

    def say(self, event: Event, sender: str) -> None: ...

    def deliver(self, grant: Grant, frame: int, cpu_micros: int, seconds: float) -> None:
        """A picture is on its way to the store."""

    def work(self, job: str, frame: int) -> int:
        """Micro-WU that this frame really costs."""


@dataclass
class Task:
    """One attempt in hand. `began` is the second at which the present frame was begun."""

    assigned: ChunkAssigned
    left: list[int]
    began: float


class Machine:
    """One slot. `rendered` and `broken_off` are WU: frames finished, and what was thrown away unfinished when told to stop."""

    def __init__(self, agent: str, nature: Nature, wire: Wire, chance: random.Random) -> None:
        self.agent, self.nature, self.is_gone = agent, nature, False
        self._wire, self._chance = wire, chance
        self._task: Task | None = None
        self._seen: set[str] = set()
        self._bundles: set[str] = set()
        self._pulse = AgentPulse(run="run-1")
        self.rendered = self.broken_off = 0.0

    def open(self) -> None:
        self._ready()
        self._wire.time.after(self._chance.uniform(0, PULSE), self._beat)
        if self.nature.leaves_at < float("inf"):
            self._wire.time.at(self.nature.leaves_at, self._leave)

    def read(self, event: Event) -> None:
        """Its mailbox."""
        if self.is_gone:
            return
        if isinstance(event, ChunkAssigned):
            self._take(event)
        elif isinstance(event, AttemptVoid | AttemptCancelled) and self._holds(event.attempt):
            self._stop()

    # --- life

    def _leave(self) -> None:
        """Without a word."""
        self.is_gone, self._task = True, None

    def _ready(self) -> None:
        attempts = () if self._task is None else (self._task.assigned.grant.attempt,)
        micros = int(BENCHMARK_MICRO_WU / self.nature.shown)
        benchmark = Benchmark(cpu_micros=micros, wall_micros=micros)
        word = AgentReady(run="run-1", slots=1, attempts=attempts, hardware=HARDWARE, benchmark=benchmark, images=(IMAGE,))
        self._wire.say(word, self.agent)

    def _beat(self) -> None:
        if not self.is_gone:
            self._wire.say(self._pulse, self.agent)
            self._wire.time.after(PULSE, self._beat)

    def _hold(self, task: Task | None) -> None:
        self._task = task
        grant = task.assigned.grant if task else None
        hands = (AttemptInHand(attempt=grant.attempt, chunk=grant.chunk, job=grant.job),) if grant else ()
        self._pulse = AgentPulse(run="run-1", attempts=hands)

    def _holds(self, attempt: str) -> bool:
        return self._task is not None and self._task.assigned.grant.attempt == attempt

    # --- one attempt

    def _take(self, event: ChunkAssigned) -> None:
        grant = event.grant
        if grant.attempt in self._seen:
            return
        self._seen.add(grant.attempt)
        if self._task is not None:
            self._wire.say(ChunkReleased(**_ids(grant), reason=Release.REFUSED), self.agent)
            self._ready()
            return
        task = Task(event, list(frames(grant.frames)), 0.0)
        self._hold(task)
        fetch = 0.0 if grant.bundle in self._bundles or grant.kind is Kind.INSPECT else FETCH
        self._bundles.add(grant.bundle)
        self._wire.time.after(START + fetch, lambda: self._next(task))

    def _stop(self) -> None:
        assert self._task is not None
        if self._task.began and self._task.left:
            self.broken_off += (self._wire.time.seconds - self._task.began) * self.nature.rate
        self._hold(None)
        self._ready()

    def _next(self, task: Task) -> None:
        if self._task is not task:
            return
        kind, time = task.assigned.grant.kind, self._wire.time
        task.began = time.seconds
        if kind is Kind.INSPECT:
            time.after(SURVEY, lambda: self._surveyed(task))
            return
        work = self._wire.work(task.assigned.grant.job, task.left[0]) / 1e6
        seconds = work * (PROBE_COST if kind is Kind.PROBE else 1.0) / self.nature.rate
        limit = task.assigned.budget_seconds or task.assigned.max_seconds_per_frame
        if seconds > limit:
            time.after(limit, lambda: self._over(task, limit))
        else:
            time.after(seconds, lambda: self._done(task, seconds))

    def _done(self, task: Task, seconds: float) -> None:
        """A frame is finished."""
        if self._task is not task:
            return
        grant, frame = task.assigned.grant, task.left.pop(0)
        self.rendered += seconds * self.nature.rate
        if grant.kind is Kind.PROBE:
            said = ProbeMeasured(grant=grant, frame=frame, scale_percent=50, cpu_micros=self._cpu(seconds))
            self._wire.say(said, self.agent)
        else:
            self._wire.deliver(grant, frame, self._cpu(seconds), seconds * self.nature.told)
        if task.left:
            self._next(task)
        else:
            self._wire.time.after(UPLOAD, lambda: self._complete(task))

    def _surveyed(self, task: Task) -> None:
        if self._task is not task:
            return
        grant = task.assigned.grant
        self._wire.say(InspectionReported(grant=grant, facts=some_facts(), cpu_micros=self._cpu(SURVEY)), self.agent)
        self._complete(task)

    def _complete(self, task: Task) -> None:
        if self._task is task:
            self._hold(None)
            self._wire.say(ChunkCompleted(**_ids(task.assigned.grant)), self.agent)

    def _over(self, task: Task, limit: float) -> None:
        """The frame takes longer than it may."""
        if self._task is not task:
            return
        grant, frame = task.assigned.grant, task.left[0]
        self._hold(None)
        failed = ChunkFailed(**_ids(grant), fault=Fault.TIME, frame=frame, text="too slow", cpu_micros=self._cpu(limit))
        self._wire.say(failed, self.agent)
        self._ready()

    def _cpu(self, seconds: float) -> int:
        """CPU time as its benchmark's machine would have needed it: what makes it slow is other programs' wall time."""
        return max(1, int(seconds * self.nature.rate / self.nature.shown * (1 / self.nature.told) * 1e6))


def _ids(grant: Grant) -> dict[str, str]:
    return {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt}
