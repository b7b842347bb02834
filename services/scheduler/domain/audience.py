"""Whom a renter lets render, in his order of preference.

The house agents inspect, take the anchor's sample and confirm faults of every job; for the ordinary work they count as trusted.
"""

from datetime import datetime

from contracts.values import Audience
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.standing import is_trusted


def place(agent: Agent, job: Job, now: datetime, policy: Policy) -> int | None:
    """Of this agent in the renter's order, from 0; None: he does not let it render."""
    allowed = wishes(job)
    if not allowed:
        return 0
    return next((at for at, wish in enumerate(allowed) if _meets(agent, job, wish, now, policy)), None)


def wishes(job: Job) -> tuple[Audience, ...]:
    return job.asked.allows if job.asked else ()


def _meets(agent: Agent, job: Job, wish: Audience, now: datetime, policy: Policy) -> bool:
    if wish is Audience.OWN:
        return agent.owner == job.account and not agent.house
    if wish is Audience.NAMED:
        named = job.asked.lenders if job.asked else ()
        return agent.agent in named or agent.owner in named
    return wish is Audience.ANYONE or agent.house or is_trusted(agent.standing, now, policy)
