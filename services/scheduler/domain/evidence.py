"""How much of what an agent says of its speed is believed: as much as the scheduler itself saw pass.

Theory. An agent says how long its frames took, and its benchmark is its word too. What it cannot shorten is the time from when it
was given an attempt until the store had the frames. That holds waiting, start-up and upload as well, so a part of an attempt's
first stretch is left out; never more than three quarters, so that a measurement says at most four times what was seen. The sum
over the last ten minutes of each slot bounds what is known of the agent once more: to hold one attempt back and bring two at once
is in vain. Until a minute was seen a claim may sink but not grow. It counts at most as eight times the farm's median, and in
promises, with all its slots, as four times a usual machine: what is really faster gets there in a few measurements.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from statistics import median_low

from contracts.values import MICRO, Benchmark
from contracts.work import wupm

REFERENCE_SPEED = 60 * MICRO
NEWCOMERS_MEDIANS = 8
"""So many times the farm's median speed is the most that a benchmark is believed."""
UNPROVED_MEDIANS = 4
"""The same of the most that promises count on, with all its slots."""
LEARNING_PERCENT = 20
MOST_CHANGE = 4
"""One measurement counts at most as four times faster or slower than what is known."""
LENIENCE = 2
"""The overall rate holds every idle second of an attempt: an agent may be so much faster."""
PROVED = 60 * MICRO
WINDOW = 600 * MICRO
START = timedelta(seconds=20)
"""Of an attempt's first stretch: waiting behind the one before, the bundle, the container."""
MOST_LEFT_OUT = 4


@dataclass(frozen=True)
class Evidence:
    """Micro-WU that the store took, and slot-microseconds that we saw pass for them; of the last `WINDOW` of each slot."""

    micro_wu: int = 0
    micros: int = 0


NONE = Evidence()


@dataclass(frozen=True)
class Shown:
    """Firm work, the time its agent says it took, and the time that we saw pass; both in slot-microseconds."""

    micro_wu: int
    wall_micros: int
    seen_micros: int

    def speed(self) -> int:
        """Micro-WU a minute; 0 where nothing was shown."""
        micros = max(self.wall_micros, self.seen_micros)
        return self.micro_wu * 60 * MICRO // micros if micros > 0 and self.micro_wu > 0 else 0


def counted(passed: timedelta, is_first: bool) -> int:
    """Microseconds of an attempt's stretch from one delivery (`is_first`: from its claim) to the next, as they count."""
    whole = max(timedelta(), passed)
    part = max(whole - START, whole / MOST_LEFT_OUT) if is_first else whole
    return part // timedelta(microseconds=1)


def noted(evidence: Evidence, shown: Shown, slots: int) -> Evidence:
    """With this; what is older than the window fades."""
    work, micros, window = evidence.micro_wu + shown.micro_wu, evidence.micros + shown.seen_micros, WINDOW * max(1, slots)
    return Evidence(work, micros) if micros <= window else Evidence(work * window // micros, window)


def is_proved(evidence: Evidence) -> bool:
    return evidence.micros >= PROVED


def moved(known: int, speed: int, evidence: Evidence) -> int:
    """Micro-WU a minute that are known of it now, if so much was shown; `evidence` with that."""
    before = known or speed
    bounded = min(max(speed, before // MOST_CHANGE), before * MOST_CHANGE)
    after = (before * (100 - LEARNING_PERCENT) + bounded * LEARNING_PERCENT) // 100
    return max(1, min(after, _most(evidence) if is_proved(evidence) else before))


def _most(evidence: Evidence) -> int:
    return LENIENCE * evidence.micro_wu * 60 * MICRO // evidence.micros


def newcomer(benchmark: Benchmark, others: Iterable[int]) -> int:
    """Micro-WU a minute that are believed of a benchmark, by the speeds of the farm; by the reference machine's where it has no
    agents yet."""
    known = [speed for speed in others if speed > 0]
    return min(wupm(benchmark), NEWCOMERS_MEDIANS * (median_low(known) if known else REFERENCE_SPEED))


def part(speed: int, slots: int, evidence: Evidence, usual: int) -> int:
    """Micro-WU a minute that a promise counts on; `usual`: the median of what the farm's agents have."""
    return speed * slots if is_proved(evidence) else min(speed * slots, UNPROVED_MEDIANS * usual)


def usual(parts: Iterable[int]) -> int:
    """Of the speeds of whole machines."""
    return median_low(tuple(parts) or (0,))
