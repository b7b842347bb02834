"""One quote through the scheduler's own sampling, judged by what every frame was measured to cost.

The frames' costs are real (tests.bench.films), and so is what the start of a process adds to its first frame. The machines are
not: the CPU seconds of each lender are off by an error of his own (log-normal, standard deviation 8 %; the house's 3 %) and by
noise on every frame (4 %); one lender in twenty claims four times what it was. Frames, machines and lies follow from the seed.
"""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.events import DepositHeld, JobEstimated
from contracts.values import FrameRange, frames
from services.scheduler.domain import sampling
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import JobState
from tests.bench.films import PIECE
from tests.unit.scheduler.builders import a_job

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


def lasting(costs: Sequence[int]) -> tuple[list[int], int]:
    """(every frame as if it were not the first of its process, what being that costs)."""
    firsts = range(0, len(costs), PIECE)
    start = statistics.median(costs[at] - costs[at + 1] for at in firsts)
    return [costs[at + 1] if at in firsts else cost for at, cost in enumerate(costs)], int(start)


def judged(film: str, costs: Sequence[int], seed: int, policy: Policy) -> Verdict:
    """A job of some stretch of the film, quoted."""
    chance = random.Random(f"{film} {seed}")
    real, start = lasting(costs)
    machines = Machines(chance, start)
    number = chance.randint(SHORTEST, len(real))
    first = chance.randint(1, len(real) - number + 1)
    job, told = _estimated(first, number, real, machines, policy)
    spent = sum(real[one.frame - 1] for one in job.samples)
    left = sum(real[frame - 1] for frame in frames(told.frames))
    work = told.micro_wu
    return Verdict(
        film=film, error=work.expected / left - 1.0, inside=work.low <= left <= work.high,
        half_width=(work.high - work.low) / 2 / work.expected, cost=spent / (spent + left), samples=len(job.samples),
        liars=machines.liars, told=told, sampled=tuple((one.frame, one.micro_wu or 0) for one in job.samples),
    )  # fmt: skip


def _estimated(first: int, number: int, real: Sequence[int], machines: Machines, policy: Policy) -> tuple[Job, JobEstimated]:
    spans = (FrameRange(first=first, last=first + number - 1),)
    held = DepositHeld(job="job", account="ada", amount_micro=0, micro_wu_limit=10**12)
    fresh = a_job(state=JobState.INSPECTING, frames=spans, total=number, sampling_limit=held.micro_wu_limit)
    job, _ = sampling.begun(fresh, policy)
    while True:
        one = next(one for one in job.samples if one.micro_wu is None)
        agent, micro_wu = machines.says(real[one.frame - 1], one.anchor or one.witness)
        job, events = sampling.sampled(job, one.frame, f"a{one.frame}", agent, micro_wu, FLEET, policy)
        for event in events:
            if isinstance(event, JobEstimated):
                return job, event
