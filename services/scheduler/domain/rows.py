"""How often in a row an agent left or failed chunks of one job, and how long it is kept off that job for it.

Completing a chunk of the job breaks the row; time forgives it. Of each agent the last jobs are remembered.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from services.scheduler.domain.policy import Policy

REMEMBERED = 20


@dataclass(frozen=True)
class Interruptions:
    """On one job: chunks left, and chunks failed; `until`: kept off it so long."""

    job: str
    in_row: int
    until: datetime | None = None
    failures: int = 0


Rows = tuple[Interruptions, ...]


def interrupted(rows: Rows, job: str, now: datetime, policy: Policy) -> Rows:
    before = _row(rows, job)
    return _with(rows, replace(before, in_row=before.in_row + 1), now, policy)


def failed(rows: Rows, job: str, now: datetime, policy: Policy) -> Rows:
    before = _row(rows, job)
    return _with(rows, replace(before, failures=before.failures + 1), now, policy)


def broken(rows: Rows, job: str) -> Rows:
    """It completed a chunk of this job."""
    return tuple(one for one in rows if one.job != job)


def names(rows: Rows, job: str) -> bool:
    return any(one.job == job for one in rows)


def is_barred(rows: Rows, job: str, now: datetime) -> bool:
    return bool(rows) and any(one.job == job and one.until is not None and now < one.until for one in rows)


def _row(rows: Rows, job: str) -> Interruptions:
    return next((one for one in rows if one.job == job), Interruptions(job, 0))


def _with(rows: Rows, row: Interruptions, now: datetime, policy: Policy) -> Rows:
    if row.in_row >= policy.interruptions or row.failures >= policy.failures:
        row = Interruptions(row.job, 0, now + policy.after("barred"))
    return (*broken(rows, row.job), row)[-REMEMBERED:]
