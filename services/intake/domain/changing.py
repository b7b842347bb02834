"""Submitting a job again with changes that the inspection has offered: the same request, with a word more in its settings."""

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime
from itertools import takewhile

from contracts.changes import Change
from services.intake.domain.jobs import ENDED, Job, submitted
from services.intake.domain.refusals import Refused, Why

REQUEST = tuple(field.name for field in takewhile(lambda field: field.name != "control_revision", fields(Job)))
"""What the renter has asked for; what follows is what became of it."""


def offered(job: Job) -> tuple[Change, ...]:
    return tuple(dict.fromkeys(finding.change for finding in job.findings if finding.change))


def changed(job: Job, changes: Iterable[Change], fingerprint: str, now: datetime) -> Job:
    """The new job. Raises Refused for a change that nobody has offered, and where money is held for the frames already."""
    wanted = tuple(dict.fromkeys((*job.settings.changes, *changes)))
    strange = [change for change in wanted if change not in (*offered(job), *job.settings.changes)]
    if strange:
        known = ", ".join(offered(job)) or "none"
        text = f"The inspection of this job has not offered: {', '.join(strange)}."
        raise Refused(Why.CONFLICT, "not-offered", text, f"Offered: {known}.")
    if job.held_version > 0 and job.state not in ENDED:
        text = "The job's price is held and its frames are rendered as it is."
        raise Refused(Why.CONFLICT, "price-held", text, "Cancel it first, or submit the file anew with the change.")
    again = Job(**{name: getattr(job, name) for name in REQUEST})
    settings = job.settings.model_copy(update={"changes": wanted})
    again = replace(again, settings=settings, fingerprint=fingerprint, submitted_at=now)
    return replace(again, control_revision=len(submitted("again", again)) - 1)  # what is told with it counts


def replaced(job: Job, by: str) -> Job:
    return replace(job, replaced_by=by)


def is_under_way(job: Job) -> bool:
    """Nobody has ended it."""
    return job.state not in ENDED and job.settlement is None
