"""What a completed chunk says of those who failed at it before."""

from dataclasses import replace
from datetime import datetime

import structlog

from contracts.events import Fault
from services.scheduler import metrics
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as agents
from services.scheduler.domain import doubts, memory, standing
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, Failure
from services.scheduler.domain.job import Decided, Job
from services.scheduler.domain.tries import OF_THE_MACHINE, REFUSED

log = structlog.get_logger()


async def completed(desk: Desk, chunk: Chunk) -> None:
    """Its scene is good after all; and a machine that failed where another owner's did not has a mishap more. What a crash
    forgets here costs a little policy, never a frame."""
    if not chunk.failed_on:
        return
    if any(one.fault == Fault.SCENE for one in chunk.failed_on):
        await refuted(desk, chunk)
    if any(one.fault == Fault.MEMORY for one in chunk.failed_on):
        await desk.job(chunk.job, lambda job, _: (memory.tried(job, chunk), []))
    guilty = [one for one in chunk.failed_on if one.fault in OF_THE_MACHINE]
    known = await desk.agents.read_many({*(one.agent for one in guilty), *(one.agent for one in chunk.deliveries)})
    owners = {known[one.agent].state.owner for one in chunk.deliveries if one.agent in known}
    job = await desk.jobs.get(chunk.job)
    for failure in guilty:
        if job is not None and failure.agent in known and owners - {known[failure.agent].state.owner}:
            await _blamed(desk, failure, chunk.chunk, job.account)


async def refuted(desk: Desk, chunk: Chunk) -> None:
    """Nobody's doubts about this chunk hold any more."""

    def decide(job: Job, _: datetime) -> Decided:
        return replace(job, doubts=doubts.refuted(job.doubts, chunk.chunk)), []

    await desk.job(chunk.job, decide)


async def _blamed(desk: Desk, failure: Failure, chunk: str, renter: str) -> None:
    was_in = False

    def decide(agent: Agent, now: datetime) -> agents.Decided:
        nonlocal was_in
        was_in = standing.is_out(agent.standing, now)
        after = standing.failed(agent.standing, chunk, renter, failure.fault == REFUSED, now, desk.policy)
        return agents.judged(agent, after, desk.policy.image)

    after = await desk.agents.update(failure.agent, decide)
    if after.standing.until is not None and not was_in and standing.is_out(after.standing, await desk.now()):
        metrics.QUARANTINED.labels("failing").inc()
        log.warning("agent quarantined", agent=after.agent, owner=after.owner, what="failing", until=after.standing.until)
        desk.dispatch.stale()
