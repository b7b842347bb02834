"""What a renter (or an operator) wants of a job that is under way, beside running, pausing and cancelling it.

Theory. Each change is told as a control with the next revision, which carries all that stands: whoever hears the highest needs no
other. A bid may change until a price is made of it, a limit until a price is accepted: it is compared there and nowhere later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from contracts.events import Action, Event, JobControlled, Wishes
from contracts.framesets import less, together
from contracts.values import MAX_RANGES, Limits, Ranges
from services.intake.domain.framelists import MOST_PARTS, written
from services.intake.domain.jobs import Job, check_open
from services.intake.domain.refusals import Refused, Why

LONGEST_AHEAD = timedelta(days=30)
BEGUN = frozenset({"rendering", "requoting", "packaging"})
WHOLE = "Leave out whole stretches of frames instead of single ones."
FEWER = "Leave out frames with --without until what is left is fewer stretches, or submit the file again."
Decided = tuple[Job, Sequence[Event]]


def told(id: str, job: Job, action: Action, by: str) -> Decided:
    """A control more."""
    revision = job.control_revision + 1
    event = JobControlled(job=id, account=job.account, revision=revision, action=action, by=by, wishes=job.wanted)
    return replace(job, control_revision=revision), [event]


def changed(id: str, job: Job, change: Mapping[str, Any], by: str, now: datetime) -> Decided:
    """`change` holds what was said of: price_per_wu_micro, max_cost, deadline, start_at, priority. Raises Refused."""
    check_open(job)
    limits = Limits(
        max_cost=_limit(job, change["max_cost"]) if "max_cost" in change else job.limits.max_cost,
        deadline=_deadline(change["deadline"], now) if "deadline" in change else job.limits.deadline,
    )
    wanted = job.wishes
    if "start_at" in change:
        wanted = wanted.model_copy(update={"start_at": _start(job, change["start_at"], now)})
    if "start_at" in change or "deadline" in change:
        check_times(wanted.start_at, limits.deadline)
    if change.get("priority") is not None:
        wanted = wanted.model_copy(update={"priority": change["priority"]})
    bid = change.get("price_per_wu_micro") or job.price_per_wu_micro
    if bid != job.price_per_wu_micro:
        _check_bid(job)
    after = replace(job, limits=limits, wishes=wanted, price_per_wu_micro=bid)
    return (job, []) if after == job else told(id, after, _standing(job), by)


def without(id: str, job: Job, unwanted: Ranges, stored: Ranges, by: str) -> Decided:
    """Leaves out frames of the job that are not stored yet, for good: until the estimate they lower the price, then what is
    charged of it. Raises Refused."""
    check_open(job)
    if not job.frames:
        text = "The file has not been looked at yet, so which frames the job has is not known."
        raise _conflict("not-inspected", text, "Try again in a minute.")
    if strange := less(unwanted, job.frames, MAX_RANGES):
        text = f"The job does not have frames {written(strange)[:200]}."
        raise Refused(Why.INVALID, "no-such-frames", text, "Name frames of the job.")
    fresh = _sayable(less(unwanted, stored, MOST_PARTS + 1), "The frames left out", WHOLE)
    if not less(fresh, job.wishes.left_out, 1):
        return job, []
    left_out = _sayable(together((*job.wishes.left_out, *fresh), MOST_PARTS + 1), "The frames left out", WHOLE)
    _sayable(_shortest(job.frames, left_out), "The frames left of the job", WHOLE, len(job.frames))
    after = replace(job, wishes=Wishes.model_validate({**dict(job.wishes), "left_out": left_out}))
    return told(id, after, _standing(job), by)


def forgiven(id: str, job: Job, by: str) -> Decided:
    """What failed so far is to be tried again. Raises Refused."""
    check_open(job)
    after = replace(job, wishes=job.wishes.model_copy(update={"retries": job.wishes.retries + 1}))
    return told(id, after, _standing(job), by)


def again(job: Job, stored: Ranges, unwanted: Ranges, fingerprint: str, now: datetime) -> Job:
    """A job for what a failed or cancelled one did not bring. Raises Refused."""
    if job.state not in ("failed", "cancelled") or not job.frames:
        raise _conflict("nothing-to-retry", f"The job is {job.state}.", "Submit the file again.")
    left = _sayable(_shortest(job.frames, (*stored, *job.wishes.left_out, *unwanted)), "The frames it lacks", FEWER)
    if not left:
        raise _conflict("nothing-to-retry", "No frame of it is missing.", "Download what is stored.")
    deadline = job.limits.deadline if job.limits.deadline and job.limits.deadline > now else None
    return Job(
        account=job.account, name=job.name, bundle=job.bundle, bundle_bytes=job.bundle_bytes, blend=job.blend, asked=left,
        settings=job.settings, price_per_wu_micro=job.price_per_wu_micro,
        limits=Limits(max_cost=job.limits.max_cost, deadline=deadline), fingerprint=fingerprint, submitted_at=now,
        allows=job.allows, lenders=job.lenders, order=job.order,
        wishes=Wishes(priority=job.wishes.priority), control_revision=1 if job.wishes.priority else 0,
    )  # fmt: skip


def _shortest(of: Ranges, removed: Ranges) -> Ranges:
    """What is left of them, written as every service writes it; cut off where it is much too long."""
    left = less(of, removed, MAX_RANGES + 1)
    return left if len(left) > MAX_RANGES else together(left, MAX_RANGES + 1)


def _sayable(of: Ranges, what: str, advice: str, already: int = 0) -> Ranges:
    """Raises Refused for a list that events could not say beside all else they tell. `already`: parts that the job has had from
    its beginning, when more were let in."""
    if len(of) > max(MOST_PARTS, already):
        raise Refused(Why.INVALID, "too-many-ranges", f"{what} would be a list of more than {MOST_PARTS:,} parts.", advice)
    return of


def _standing(job: Job) -> Action:
    return Action.PAUSE if job.control is Action.PAUSE else Action.RESUME


def _limit(job: Job, most: int | None) -> int | None:
    said, quote = job.answer, job.quote
    if said is not None and said.accepted and (quote is None or quote.version <= said.version) and job.refusal is None:
        text = "The limit was compared when you accepted the price, which is firm: it means nothing any more."
        raise _conflict("price-firm", text, "Pause or cancel the job to spend less than its price.")
    return most


def _check_bid(job: Job) -> None:
    if job.quote is not None or job.estimate_version:
        text = "The price is made of the bid the job had when it was estimated, and firm."
        raise _conflict("price-firm", text, "Change its priority among your own jobs, or decline and submit it again.")


def _deadline(at: datetime | None, now: datetime) -> datetime | None:
    if at is not None and at <= now:
        raise Refused(Why.INVALID, "deadline-over", "The deadline is in the past.", "Name a later one, or none.")
    return at


def _start(job: Job, at: datetime | None, now: datetime) -> datetime | None:
    if at is not None and job.state in BEGUN:
        raise _conflict("already-begun", "Its frames are being rendered already.", "Pause the job instead.")
    return begins(at, now)


def begins(at: datetime | None, now: datetime) -> datetime | None:
    """Raises Refused for a start that is over or too far ahead."""
    if at is not None and not now < at <= now + LONGEST_AHEAD:
        raise Refused(Why.INVALID, "start-unfit", "The start must be ahead, by at most 30 days.", "Name another time.")
    return at


def check_times(start: datetime | None, deadline: datetime | None) -> None:
    """Raises Refused for a job that would be late before it begins."""
    if start is not None and deadline is not None and start >= deadline:
        text = f"The job would start at {start:%Y-%m-%d %H:%M} UTC, and its deadline is {deadline:%Y-%m-%d %H:%M} UTC."
        raise Refused(Why.INVALID, "start-after-deadline", text, "Name an earlier start or a later deadline.")


def _conflict(code: str, text: str, advice: str) -> Refused:
    return Refused(Why.CONFLICT, code, text, advice)
