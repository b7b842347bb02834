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
AHEAD = 10.0
"""An attempt that ends sooner is said to be ending (agent/domain/progress.py)."""
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
    said: AttemptInHand
    """In every pulse."""
    left: list[int]
    began: float = 0.0
    since: float = 0.0
    """When its container was begun."""
    is_here: bool = False
    """Its bundle is."""
    is_ending: bool = False
    """Said to be about to end: the next one may come."""


class Machine:
    """One slot. `rendered` and `broken_off` are WU: frames finished, and what was thrown away unfinished when told to stop."""

    def __init__(self, agent: str, nature: Nature, wire: Wire, chance: random.Random) -> None:
        self.agent, self.nature, self.is_gone = agent, nature, False
        self._wire, self._chance = wire, chance
        self._hands: dict[str, Task] = {}
        self._rendering: Task | None = None
        self._seen: set[str] = set()
        self._bundles: set[str] = set()
        self._pulse = AgentPulse(run="run-1")
        micros = int(BENCHMARK_MICRO_WU / nature.shown)
        self._benchmark = Benchmark(cpu_micros=micros, wall_micros=micros)
        self.rendered = self.broken_off = 0.0
        self.failures = 0
        self.spans: list[tuple[float, float]] = []
        """Of its rendering attempts, from the container's start to the last frame: second of the end, seconds."""

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
        elif isinstance(event, AttemptVoid | AttemptCancelled) and event.attempt in self._hands:
            self._stop(self._hands[event.attempt])

    # --- life

    def _leave(self) -> None:
        """Without a word."""
        self.is_gone, self._rendering = True, None
        self._hands.clear()

    def _ready(self) -> None:
        word = AgentReady(
            run="run-1", slots=1, attempts=tuple(self._hands), hardware=HARDWARE, images=(IMAGE,), bundles=tuple(self._bundles),
            ending=tuple(attempt for attempt, task in self._hands.items() if task.is_ending),
            benchmark=self._benchmark,
        )  # fmt: skip
        self._wire.say(word, self.agent)

    def _beat(self) -> None:
        if not self.is_gone:
            self._wire.say(self._pulse, self.agent)
            self._wire.time.after(PULSE, self._beat)

    def _hold(self, task: Task) -> None:
        self._hands[task.assigned.grant.attempt] = task
        self._show()

    def _drop(self, task: Task) -> None:
        self._hands.pop(task.assigned.grant.attempt)
        if self._rendering is task:
            self._rendering = None
        self._show()
        self._go()

    def _show(self) -> None:
        self._pulse = AgentPulse(run="run-1", attempts=tuple(task.said for task in self._hands.values()))

    def _is_in_hand(self, task: Task) -> bool:
        return self._hands.get(task.assigned.grant.attempt) is task

    # --- one attempt

    def _take(self, event: ChunkAssigned) -> None:
        grant = event.grant
        if grant.attempt in self._seen:
            return
        self._seen.add(grant.attempt)
        if not all(task.is_ending for task in self._hands.values()):
            self._wire.say(ChunkReleased(**_ids(grant), reason=Release.REFUSED), self.agent)
            self._ready()
            return
        said = AttemptInHand(attempt=grant.attempt, chunk=grant.chunk, job=grant.job)
        task = Task(event, said, list(frames(grant.frames)))
        self._hold(task)
        fetch = 0.0 if grant.bundle in self._bundles or grant.kind is Kind.INSPECT else FETCH
        self._bundles.add(grant.bundle)
        self._wire.time.after(fetch, lambda: self._fetched(task))

    def _fetched(self, task: Task) -> None:
        task.is_here = True
        self._go()

    def _go(self) -> None:
        """The slot goes to the next that can begin."""
        task = next((one for one in self._hands.values() if one.is_here and not one.is_ending), None)
        if self._rendering is None and task is not None:
            self._rendering, task.since = task, self._wire.time.seconds
            self._wire.time.after(START, lambda: self._begin(task))

    def _begin(self, task: Task) -> None:
        """Its container is up."""
        if self.nature.is_broken and self._is_in_hand(task):
            self._fail(task)
        elif self._is_in_hand(task):
            kind = task.assigned.grant.kind
            seconds = SURVEY if kind is Kind.INSPECT else sum(self._seconds(task, frame) for frame in task.left)
            self._wire.time.after(max(0.0, seconds - AHEAD), lambda: self._look_ahead(task))
            if kind is Kind.INSPECT:
                self._wire.time.after(SURVEY, lambda: self._surveyed(task))
            elif self.nature.is_boasting and kind is Kind.RENDER:
                self.failures += 1
                self._complete(task)
            elif not (self.nature.is_hanging and kind is Kind.RENDER):
                self._next(task)

    def _fail(self, task: Task) -> None:
        grant = task.assigned.grant
        self._drop(task)
        self.failures += 1
        self._wire.say(ChunkFailed(**_ids(grant), fault=Fault.MACHINE, text="the disk is broken"), self.agent)
        self._ready()

    def _look_ahead(self, task: Task) -> None:
        if self._is_in_hand(task):
            task.is_ending = True
            self._ready()

    def _stop(self, task: Task) -> None:
        if task.began and task.left:
            self.broken_off += (self._wire.time.seconds - task.began) * self.nature.rate
        self._drop(task)
        self._ready()

    def _next(self, task: Task) -> None:
        time, frame = self._wire.time, task.left[0]
        task.began, seconds = time.seconds, self._seconds(task, frame)
        limit = task.assigned.budget_seconds or task.assigned.max_seconds_per_frame
        if seconds > limit:
            time.after(limit, lambda: self._over(task, limit))
        else:
            time.after(seconds, lambda: self._done(task, seconds))

    def _seconds(self, task: Task, frame: int) -> float:
        part = PROBE_COST if task.assigned.grant.kind is Kind.PROBE else 1.0
        return self._wire.work(task.assigned.grant.job, frame) * part / 1e6 / self.nature.rate

    def _done(self, task: Task, seconds: float) -> None:
        """A frame is finished."""
        if not self._is_in_hand(task):
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
            self._free(task)

    def _free(self, task: Task) -> None:
        """Nothing left to render: what is left is to deliver."""
        self._wire.time.after(UPLOAD, lambda: self._complete(task))
        if task.assigned.grant.kind is Kind.RENDER:
            self.spans.append((self._wire.time.seconds, self._wire.time.seconds - task.since))
        self._rendering, task.is_ending = None, True
        self._go()

    def _surveyed(self, task: Task) -> None:
        if self._is_in_hand(task):
            said = InspectionReported(grant=task.assigned.grant, facts=some_facts(), cpu_micros=self._cpu(SURVEY))
            self._wire.say(said, self.agent)
            self._free(task)

    def _complete(self, task: Task) -> None:
        if self._is_in_hand(task):
            self._drop(task)
            self._wire.say(ChunkCompleted(**_ids(task.assigned.grant)), self.agent)

    def _over(self, task: Task, limit: float) -> None:
        """The frame takes longer than it may."""
        if self._is_in_hand(task):
            grant, frame = task.assigned.grant, task.left[0]
            self._drop(task)
            failed = ChunkFailed(**_ids(grant), fault=Fault.TIME, frame=frame, text="too slow", cpu_micros=self._cpu(limit))
            self._wire.say(failed, self.agent)
            self._ready()

    def _cpu(self, seconds: float) -> int:
        """CPU time as its benchmark's machine would have needed it: what makes it slow is other programs' wall time."""
        return max(1, int(seconds * self.nature.rate / self.nature.shown * (1 / self.nature.told) * 1e6))


def _ids(grant: Grant) -> dict[str, str]:
    return {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt}
