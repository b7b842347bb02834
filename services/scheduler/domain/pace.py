"""How fast an agent is on one job: the same machine is not equally fast on every scene, and its benchmark knows only one.

Theory. Each time frames of a job are stored, their firm work over their wall time is one measurement. The time is the agent's
word, but never less than what we saw pass counts for (domain.evidence): a lasting lie makes it at most four times as fast as it
is. A measurement counts at most as four times faster or slower than what is known of the agent, and what is used is the median
of the last nine: a single false one moves nothing. It sizes this agent's own chunks, and the time left that people are told.
"""

from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING

from services.scheduler.domain.evidence import Shown
from services.scheduler.domain.quick import replace

if TYPE_CHECKING:
    from services.scheduler.domain.agent import Agent

JOBS = 20
MEASUREMENTS = 9
FEWEST = 3
BOUND = 4


@dataclass(frozen=True)
class Pace:
    """Micro-WU a minute of one slot, as measured lately on this job."""

    job: str
    shown: tuple[int, ...]


Paces = tuple[Pace, ...]


def measured(agent: "Agent", job: str, measurement: Shown) -> "Agent":
    """With one measurement more; the jobs it worked on last are remembered."""
    shown = measurement.speed()
    if not shown:
        return agent
    known = agent.micro_wu_per_minute or shown
    shown = max(1, min(max(shown, known // BOUND), known * BOUND))
    before = next((one.shown for one in agent.paces if one.job == job), ())
    others = tuple(one for one in agent.paces if one.job != job)
    return replace(agent, paces=(*others, Pace(job, (*before, shown)[-MEASUREMENTS:]))[-JOBS:])


def of(agent: "Agent", job: str) -> int:
    """Micro-WU a minute on this job; in general, while too little was measured."""
    shown = next((one.shown for one in agent.paces if one.job == job), ())
    return median_low(shown) if len(shown) >= FEWEST else agent.micro_wu_per_minute
