"""How renters and operators steer jobs."""

from datetime import datetime

import structlog

from contracts.events import Action, JobControlled
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import NotYet
from services.scheduler import metrics
from services.scheduler.closing import MOST_OPEN
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as agents
from services.scheduler.domain import deadlines, rows, wishes
from services.scheduler.domain.job import Decided, Job

log = structlog.get_logger()


def register(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.on(JobControlled)
    async def on_job_controlled(event: JobControlled) -> None:
        await _forgive(desk, event)
        board = await desk.dispatch.board()

        def decide(job: Job | None, now: datetime) -> Decided:
            after, events = _controlled(job, event, now)
            return deadlines.seen_again(job, (after, events), board.speed, board.everybody(), now, desk.policy)

        job = await desk.jobs.update_or_add(event.job, decide)
        metrics.JOB_CONTROLS.labels(event.action).inc()
        await desk.closing.settle(job)
        desk.quoting.over(job)
        await desk.closing.finish(event.job)
        await desk.dispatch.look()


def _controlled(job: Job | None, event: JobControlled, now: datetime) -> Decided:
    """Only a cancel may come before its job."""
    if job is None and event.action is not Action.CANCEL:
        raise NotYet(f"job {event.job} has not been submitted yet")
    return wishes.controlled(job, event, now)


async def _forgive(desk: Desk, event: JobControlled) -> None:
    """Before the job says that it was done: a crash in between repeats it."""
    if not wishes.forgives(await desk.jobs.get(event.job), event):
        return
    for saved in await desk.chunks.open_of(event.job, MOST_OPEN):
        await desk.chunks.update(saved.id, lambda chunk, _: (wishes.forgiven(chunk), []))
    for agent in [one for one in await desk.agents.reachable() if rows.names(one.state.interruptions, event.job)]:
        await desk.agents.update(agent.id, lambda state, _: (agents.delivered(state, event.job), []))
    log.info("what failed is forgiven", job=event.job, by=event.by)
