"""One quote through the scheduler's own sampling, judged by what every frame was measured to cost.

The frames' costs are real (tests.bench.films), and so is what the start of a process adds to its first frame. The machines are
not: the CPU seconds of each lender are off by an error of his own (log-normal, standard deviation 8 %; the house's 3 %) and by
noise on every frame (4 %); one lender in twenty claims four times what it was. Frames, machines and lies follow from the seed.
"""

import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.events import JobEstimated, Shot
from contracts.values import FrameRange, frames
from services.scheduler.domain import sampling
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import JobState
from tests.bench.films import PIECE
from tests.unit.scheduler.builders import a_job, some_facts

LENDERS = 6
MACHINE_ERROR, HOUSE_ERROR, NOISE = 0.08, 0.03, 0.04
LIARS, LIE = 0.05, 4.0
SHORTEST = 200
FLEET = 60 * LENDERS * 1_000_000


@dataclass(frozen=True)
class Verdict:
    """`error`: quoted ÷ true work of the frames left to render, less one; `cost`: true work of the sampled frames, of all."""

    film: str
    error: float
    inside: bool
    half_width: float
    cost: float
    samples: int
    liars: int
    told: JobEstimated
    sampled: tuple[tuple[int, int], ...]


class Machines:
    """Who renders samples, and what they say of it."""

    def __init__(self, chance: random.Random, start: int) -> None:
        self._chance, self._start = chance, start
        self._errors = [chance.lognormvariate(0.0, MACHINE_ERROR) for _ in range(LENDERS)]
        self._lies = [LIE if chance.random() < LIARS else 1.0 for _ in range(LENDERS)]
        self._house = chance.lognormvariate(0.0, HOUSE_ERROR)
        self._turn = chance.randrange(LENDERS)
        self.liars = sum(one > 1.0 for one in self._lies)

    def says(self, cost: int, house: bool) -> tuple[str, int]:
        """(machine, micro-WU) of one frame in a process of its own."""
        cost += self._start
        noisy = cost * self._chance.lognormvariate(0.0, NOISE)
        if house:
            return "house", int(noisy * self._house)
        self._turn = (self._turn + 1) % LENDERS
        return f"lender-{self._turn}", int(noisy * self._errors[self._turn] * self._lies[self._turn])


def lasting(costs: Sequence[int]) -> list[int]:
    """Every frame as if it were not the first of its process."""
    firsts = range(0, len(costs), PIECE)
    return [costs[at + 1] if at in firsts else cost for at, cost in enumerate(costs)]


def start(films: Iterable[Sequence[int]]) -> int:
    """What being the first frame of a process costs. One number for all films: a film alone has four differences, whose noise
    (0.03 WU) is more than by what films differ (0.011, where chance alone lets expect 0.017)."""
    return int(statistics.median(costs[at] - costs[at + 1] for costs in films for at in range(0, len(costs), PIECE)))


def judged(film: str, costs: Sequence[int], seed: int, policy: Policy, first_frame: int, shots: tuple[Shot, ...] = ()) -> Verdict:
    """A job of some stretch of the film, quoted. `first_frame`: what being that costs; `shots`: what the survey says of it."""
    chance, real = random.Random(f"{film} {seed}"), lasting(costs)
    machines = Machines(chance, first_frame)
    number = chance.randint(SHORTEST, len(real))
    first = chance.randint(1, len(real) - number + 1)
    spans = (FrameRange(first=first, last=first + number - 1),)
    facts = some_facts().model_copy(update={"shots": shots})
    fresh = a_job(state=JobState.INSPECTING, frames=spans, total=number, sampling_limit=10**12, facts=facts)
    job, told = _estimated(fresh, real, machines, policy)
    spent = sum(real[one.frame - 1] for one in job.samples)
    left = sum(real[frame - 1] for frame in frames(told.frames))
    work = told.micro_wu
    return Verdict(
        film=film, error=work.expected / left - 1.0, inside=work.low <= left <= work.high,
        half_width=(work.high - work.low) / 2 / work.expected, cost=spent / (spent + left), samples=len(job.samples),
        liars=machines.liars, told=told, sampled=tuple((one.frame, one.micro_wu or 0) for one in job.samples),
    )  # fmt: skip


def _estimated(fresh: Job, real: Sequence[int], machines: Machines, policy: Policy) -> tuple[Job, JobEstimated]:
    job, _ = sampling.begun(fresh, policy)
    while True:
        one = next(one for one in job.samples if one.micro_wu is None)
        agent, micro_wu = machines.says(real[one.frame - 1], one.anchor or one.witness)
        job, events = sampling.sampled(job, one.frame, f"a{one.frame}", agent, micro_wu, FLEET, policy)
        for event in events:
            if isinstance(event, JobEstimated):
                return job, event
