"""Whether a job's deadline can be kept, is in danger, was kept or missed.

Theory. At the estimate the farm is taken as it is: the agents that could render this job, less what other deadlines need of
them. Impossible is said only where the low end of the work would be late on the whole farm; feasible only where its high end
fits, with a reserve, into what a deadline gives right of way to (domain.ranking) and no other deadline needs. The rest is tight.
A job with a scheduled start is judged as if it were begun then.

A deadline costs nothing, so it gives right of way before other renters' bids only when it was in reach (feasible or tight) as the
accepted price was made. One that is set or moved nearer after that orders its renter's own jobs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from contracts.events import DeadlineMissed, JobEstimated
from contracts.values import Band, Feasibility, Outlook
from services.scheduler.domain import job as jobs
from services.scheduler.domain.job import Decided, Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import JobState

RENDERING = frozenset({JobState.QUEUED, JobState.RENDERING})
UNDER_WAY = RENDERING | {JobState.REQUOTING}
JUDGED = UNDER_WAY | {JobState.QUOTED}


def deadline(job: Job) -> datetime | None:
    return job.asked.limits.deadline if job.asked else None


def promised(job: Job) -> datetime | None:
    """Until when the job has right of way: its deadline, as far as it was in reach when the accepted price was made. One that was
    set later, or is nearer than that one, gives none; nor one that was taken back."""
    due = deadline(job)
    return None if due is None or job.promised is None else max(due, job.promised)


def outlook(job: Job, speed: int, others: Mapping[str, Job], now: datetime, policy: Policy) -> Outlook | None:
    """`speed`: micro-WU a minute of all who could render it; `others`: every job that something is promised to, whether its turn
    has come or not. None without deadline or estimate."""
    due = deadline(job)
    if due is None or job.micro_wu is None or not speed:
        return None
    work = _left(job, job.micro_wu)
    meet = [one for one in others.values() if one.job != job.job and _begins(one, now) < due and _ends_after(one, job, now)]
    free = speed * policy.urgent_percent // 100 - sum(_claimed(one, now, policy) for one in meet)
    earliest, first = _end(work.expected, speed, job, now, policy), jobs.stage(job) not in RENDERING or promised(job) == due
    if _end(work.low, speed, job, now, policy) > due:
        return Outlook(feasibility=Feasibility.IMPOSSIBLE, deadline=due, earliest=earliest, right_of_way=first)
    safe = free > 0 and _end(work.high, free, job, now, policy) + policy.after("deadline_reserve") <= due
    found = Feasibility.FEASIBLE if safe else Feasibility.TIGHT
    return Outlook(feasibility=found, deadline=due, earliest=earliest, right_of_way=first)


def judged(decided: Decided, fleet: int, others: Mapping[str, Job], now: datetime, policy: Policy) -> Decided:
    """The estimate among these events says what it means for the deadline."""
    job, events = decided
    if not any(isinstance(one, JobEstimated) for one in events):
        return decided
    seen = outlook(job, fleet, others, now, policy)
    told = [one.model_copy(update={"outlook": seen}) if isinstance(one, JobEstimated) else one for one in events]
    return replace(job, judged=_in_reach(seen)), told


def _in_reach(seen: Outlook | None) -> datetime | None:
    return None if seen is None or seen.feasibility is Feasibility.IMPOSSIBLE else seen.deadline


def seen_again(
    before: Job | None, decided: Decided, fleet: Callable[[Job], int], others: Mapping[str, Job], now: datetime, policy: Policy
) -> Decided:
    """Its renter has moved the deadline or the start since it was judged: told anew, where the job is. `fleet`: micro-WU a minute
    of all who could render it."""
    job, events = decided
    if before is None or _times(before) == _times(job) or jobs.stage(job) not in JUDGED:
        return decided
    seen = outlook(job, fleet(job), others, now, policy)
    if seen is None:
        return decided
    job, told = jobs.retold(job if jobs.stage(job) in RENDERING else replace(job, judged=_in_reach(seen)))
    return job, [*events, *(one.model_copy(update={"outlook": seen}) for one in told)]


def _times(job: Job) -> tuple[datetime | None, datetime | None]:
    return deadline(job), job.wishes.start_at


def _left(job: Job, work: Band) -> Band:
    """Work of the frames that nobody has."""
    uncut, whole = sum(map(len, job.uncut)), max(1, job.to_render)
    return Band(low=work.low * uncut // whole, expected=work.expected * uncut // whole, high=work.high * uncut // whole)


def _end(work: int, speed: int, job: Job, now: datetime, policy: Policy) -> datetime:
    """No sooner than its costliest frame on a machine like the reference, after what is in hand."""
    seconds = max(work * 60 // max(1, speed), job.most_micro_wu // 10**6)
    under_way = policy.chunk if job.state is JobState.RENDERING else 0
    return _begins(job, now) + timedelta(seconds=seconds + under_way + policy.copy_start)


def _begins(job: Job, now: datetime) -> datetime:
    """Nothing of it is rendered before its scheduled start."""
    return max(now, job.wishes.start_at or now)


def _ends_after(one: Job, job: Job, now: datetime) -> bool:
    """What is promised to it may be rendered while the job is."""
    due = promised(one)
    return due is not None and due > _begins(job, now)


def _claimed(job: Job, now: datetime, policy: Policy) -> int:
    """Micro-WU a minute that an earlier promise needs until it is due."""
    due = promised(job)
    if due is None or due <= now or job.micro_wu is None or job.state not in RENDERING:
        return 0
    left = _left(job, job.micro_wu).expected
    return left * 60 // max(60, int((due - _begins(job, now)).total_seconds()) - policy.deadline_reserve)


def is_late(job: Job, now: datetime) -> bool:
    """Its deadline is over, it is not, and nobody has been told; also while it is paused, or its renter asked for a new price."""
    due = deadline(job)
    return due is not None and now > due and job.missed != due and jobs.stage(job) in UNDER_WAY


def missed(job: Job, lacking: int, remaining: Band | None, now: datetime) -> Decided:
    """Told once for each deadline that is over before the job is."""
    due = deadline(job)
    if due is None or not is_late(job, now):
        return job, []
    event = DeadlineMissed(job=job.job, account=job.account, deadline=due, lacking=lacking, remaining_seconds=remaining)
    return replace(job, missed=due), [event]


def is_due(job: Job) -> bool:
    """It has a deadline that is not over yet, as far as anybody was told."""
    return deadline(job) is not None and job.missed != deadline(job)


def is_pressed(job: Job, ends: int, now: datetime, policy: Policy) -> bool:
    """Whether a chunk that ends so many seconds from now endangers the deadline that was promised."""
    due = promised(job)
    return due is not None and is_due(job) and now + timedelta(seconds=ends) + policy.after("copy_patience") > due
