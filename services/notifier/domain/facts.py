"""Which facts are told by which channel, and the natural key under which each is told once."""

from contracts.events import (
    DeadlineMissed,
    Event,
    HoldRefused,
    JobCancelled,
    JobFailed,
    JobInspected,
    JobPackaged,
    JobQuoted,
    JobSettled,
)
from services.notifier.domain.delivery import Channel

Told = JobQuoted | HoldRefused | JobInspected | JobFailed | JobCancelled | JobPackaged | JobSettled | DeadlineMissed


def fact(event: Told) -> str:
    """`job.settled.v1:<job>`, with what makes it one of several facts of a job."""
    return ":".join([event.key(), event.job, *_which(event)])


def _which(event: Told) -> list[str]:
    if isinstance(event, JobQuoted):
        return [str(event.version)]
    if isinstance(event, HoldRefused):
        return [str(event.version), str(event.available_micro)]
    if isinstance(event, DeadlineMissed):
        return [event.deadline.isoformat()]
    return []


def channels(event: Told) -> tuple[Channel, ...]:
    return (Channel.WEBHOOK,) if _needs_no_mail(event) else (Channel.MAIL, Channel.WEBHOOK)


def _needs_no_mail(event: Told) -> bool:
    """A refused inspection and a refused deposit are mailed as the job's failure, which has reason and remedy; an invoice over
    nothing is no news."""
    if isinstance(event, HoldRefused):
        return event.version == 0
    return isinstance(event, JobInspected) or (isinstance(event, JobSettled) and event.charged_micro == 0)


def is_worth_telling(event: Event) -> bool:
    return not isinstance(event, JobInspected) or not event.accepted
