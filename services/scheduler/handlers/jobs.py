"""What renters and money say of jobs."""

from dataclasses import replace

from contracts.events import (
    CreditsHeld,
    DepositHeld,
    HoldRefused,
    JobPackaged,
    JobPurged,
    JobQuoted,
    JobSubmitted,
    QuoteAccepted,
    QuoteDeclined,
    QuoteExpired,
)
from services.chassis import traces
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import NotYet
from services.scheduler.desk import Desk
from services.scheduler.domain import answers
from services.scheduler.domain import job as domain
from services.scheduler.domain.cutting import inspection
from services.scheduler.domain.job import Decided, Job
from services.scheduler.domain.states import JobState


def register(inboxes: Inboxes, desk: Desk) -> None:
    _beginning(inboxes, desk)
    _quotes(inboxes, desk)
    _ends(inboxes, desk)


def _beginning(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.on(JobSubmitted)
    async def on_job_submitted(event: JobSubmitted) -> None:
        trace = traces.carried()
        await desk.jobs.update_or_add(event.job, lambda job, now: _traced(domain.submitted(job, event, now), trace))

    @inboxes.on(DepositHeld)
    async def on_deposit_held(event: DepositHeld) -> None:
        await desk.job(event.job, lambda job, _: _deposit_held(job, event))
        await desk.dispatch.realise(event.job)
        await desk.dispatch.look()

    @inboxes.on(HoldRefused)
    async def on_hold_refused(event: HoldRefused) -> None:
        await desk.job(event.job, lambda job, _: domain.hold_refused(_submitted(job), event))


def _quotes(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.on(JobQuoted)
    async def on_job_quoted(event: JobQuoted) -> None:
        await desk.quoting.made(await desk.job(event.job, lambda job, _: answers.quoted(job, event)), event)

    @inboxes.on(QuoteAccepted)
    async def on_quote_accepted(event: QuoteAccepted) -> None:
        """What counts is the hold that follows; only the job must be one we know."""
        await desk.job(event.job, lambda job, _: (job, []))

    @inboxes.on(CreditsHeld)
    async def on_credits_held(event: CreditsHeld) -> None:
        await desk.job(event.job, lambda job, _: answers.held(_quoted(job), event))
        await desk.closing.finish(event.job)
        await desk.dispatch.look()

    @inboxes.on(QuoteDeclined)
    async def on_quote_declined(event: QuoteDeclined) -> None:
        await desk.job(event.job, lambda job, _: answers.declined(_quoted(job), event.version, "the price was declined"))

    @inboxes.on(QuoteExpired)
    async def on_quote_expired(event: QuoteExpired) -> None:
        reason = "nobody accepted the price in time"
        await desk.job(event.job, lambda job, _: answers.declined(_quoted(job), event.version, reason))


def _ends(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.on(JobPackaged)
    async def on_job_packaged(event: JobPackaged) -> None:
        await desk.job(event.job, lambda job, _: domain.packaged(job))

    @inboxes.on(JobPurged)
    async def on_job_purged(event: JobPurged) -> None:
        await desk.job(event.job, lambda job, _: domain.purged(job))


def _traced(decided: Decided, trace: dict[str, str]) -> Decided:
    job, events = decided
    return (replace(job, trace=trace), events) if events else (job, events)


def _submitted(job: Job) -> Job:
    if job.asked is None:
        raise NotYet(f"job {job.job} has only been cancelled yet, not submitted")
    return job


def _quoted(job: Job) -> Job:
    if domain.stage(_submitted(job)) is JobState.ESTIMATING:
        raise NotYet(f"the quote of job {job.job} has not arrived yet")
    return job


def _deposit_held(job: Job, event: DepositHeld) -> Decided:
    if domain.stage(_submitted(job)) is not JobState.SUBMITTED:
        return job, []
    job = replace(job, sampling_limit=event.micro_wu_limit)
    return domain.advanced(inspection(job), JobState.INSPECTING, "a house agent is looking at the file")
