"""What an agent is told when it gets a chunk, and what it may do with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.events import ChunkAssigned
from contracts.grants import Grant
from contracts.values import Kind, Picture, frames
from contracts.work import price
from services.scheduler.domain import job as jobs
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, missing
from services.scheduler.domain.holding import Holder
from services.scheduler.domain.job import Job
from services.scheduler.domain.memory import need
from services.scheduler.domain.orders import by_hand
from services.scheduler.domain.picture import max_bytes
from services.scheduler.domain.policy import Policy

NO_PICTURE = Picture(width=1, height=1)
"""An inspection makes none."""


@dataclass(frozen=True)
class Limits:
    seconds_per_frame: int
    budget: int | None
    memory: int


def assigned(
    job: Job, chunk: Chunk, agent: Agent, attempt: str, image: str, now: datetime, policy: Policy
) -> tuple[Holder, ChunkAssigned]:
    """The attempt that will hold the chunk, and its assignment; the grant in it is not signed yet."""
    assert job.asked is not None
    limits = _limits(job, chunk, agent, policy)
    left = missing(chunk)
    number = max(1, sum(len(span) for span in left))
    fetching = timedelta(seconds=_fetching(job, agent, policy))
    last_end = now + fetching + timedelta(seconds=number * limits.seconds_per_frame + policy.slack)
    size = job.picture or NO_PICTURE
    grant = Grant(
        agent=agent.agent, job=job.job, chunk=chunk.chunk, attempt=attempt, kind=chunk.kind, frames=left,
        generation=chunk.generation, version=chunk.version, bundle=job.asked.bundle, picture=size, max_bytes=max_bytes(size),
        until=last_end + policy.after("grace"),
    )  # fmt: skip
    told = ChunkAssigned(
        grant=grant, image=image, blend=job.asked.blend, bundle_bytes=job.asked.bundle_bytes, settings=job.asked.settings,
        picture=size, scale_percent=policy.probe_percent if chunk.kind is Kind.PROBE else 100, lease_seconds=policy.lease,
        max_seconds_per_frame=limits.seconds_per_frame, budget_seconds=limits.budget, memory_bytes=limits.memory,
        earns_micro=_earns(job, chunk), price=jobs.bid(job), engine=job.facts.engine if job.facts else "", renter=job.account,
        chosen=by_hand(agent),
    )  # fmt: skip
    patience = limits.seconds_per_frame + policy.slack
    first = now + fetching + timedelta(seconds=patience)
    return Holder(attempt, agent.agent, now, min(first, last_end), last_end=last_end, patience=patience), told


def _fetching(job: Job, agent: Agent, policy: Policy) -> int:
    """Seconds in which a slow line brings the bundle, unless it is there."""
    if job.asked is None or job.asked.bundle in agent.bundles:
        return 0
    return job.asked.bundle_bytes // policy.slow_line


def _limits(job: Job, chunk: Chunk, agent: Agent, policy: Policy) -> Limits:
    most = agent.hardware.memory_bytes if agent.hardware else job.memory_bytes
    if chunk.kind is Kind.INSPECT:
        return Limits(policy.inspect_budget, policy.inspect_budget, min(policy.inspect_memory, most))
    memory = min(need(job, chunk.memory_factor), most)
    if chunk.kind is Kind.RENDER:
        return Limits(seconds_per_frame(job, chunk, agent, policy), None, memory)
    return Limits(policy.sample_budget, policy.sample_budget, memory)


def seconds_per_frame(job: Job, chunk: Chunk, agent: Agent, policy: Policy) -> int:
    """Ten times what its costliest frame should take this agent, and never less than the floor."""
    if job.curve is None or not agent.micro_wu_per_minute:
        return policy.frame_floor
    most = max(job.curve.wu(frame) for frame in frames(chunk.frames))
    return max(policy.frame_floor, policy.frame_factor * most * 60 // agent.micro_wu_per_minute)


def _earns(job: Job, chunk: Chunk) -> int:
    curve = jobs.curve_of(job, chunk.version)
    if chunk.kind is not Kind.RENDER or curve is None:
        return 0
    return sum(price(curve.wu(frame), jobs.bid(job)) for frame in frames(missing(chunk)))


__all__ = ["Limits", "assigned", "seconds_per_frame"]
