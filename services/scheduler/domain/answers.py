"""What a job does when its price is made, held, or not accepted: the first price, and any further one while it renders."""

from contracts.events import CreditsHeld, JobQuoted
from services.scheduler.domain.job import Decided, Job, advanced, cancelled, stage
from services.scheduler.domain.quick import replace
from services.scheduler.domain.states import JobState

ASKING = frozenset({JobState.QUOTED, JobState.REQUOTING})
"""A price waits for the renter's answer."""


def quoted(job: Job, quote: JobQuoted) -> Decided:
    if stage(job) is not JobState.ESTIMATING or quote.version != job.version:
        return job, []
    return advanced(job, JobState.QUOTED, "the price is firm; waiting for you to accept it")


def held(job: Job, hold: CreditsHeld) -> Decided:
    """The accepted price is held: the job may start, or go on. Raises nothing when it already has."""
    if hold.version != job.version or stage(job) not in ASKING:
        return job, []
    job = replace(job, promised=job.judged or job.promised)
    if stage(job) is JobState.REQUOTING:
        return advanced(job, JobState.RENDERING, "the new price is held; agents go on rendering")
    return advanced(job, JobState.QUEUED, "paid for; waiting for an agent")


def declined(job: Job, version: int, reason: str) -> Decided:
    """A job under way is sealed and settled at the versions that were accepted."""
    if stage(job) not in ASKING or version != job.version:
        return job, []
    kept = "; the finished frames are yours at the old price" if stage(job) is JobState.REQUOTING else ""
    return cancelled(job, reason + kept)
