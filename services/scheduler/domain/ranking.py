"""Whose turn it is: which job the next free slot goes to.

Theory. Weighted fair sharing between renters. A renter's claim grows with the weight of his bid and with the time since he last
got anything, and shrinks with what he has running; the largest claim gets the slot. The highest bid weighs 100, others by the
square of their share of it, nobody less than 5. With many slots the running attempts settle in proportion to the weights (nobody
below a twentieth of a fair share); with few slots the waiting does it, and who has got nothing for as long as a twentieth of a
fair share takes to come round is next whatever he bids. At equal bids a renter with nothing running comes first, however much
others have queued.

Before all that come jobs that would miss their deadline at what they have running, the earliest deadline first: just as many
slots as they lack, in all no more than nine tenths of the farm. One that could not make it with all slots gets no privilege, for
it would only harm others; nor one that was not in reach when the accepted price was made (domain.deadlines), for deadlines cost
nothing: it goes first among its renter's jobs of that bid and priority.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.values import count
from services.scheduler.domain import deadlines
from services.scheduler.domain import job as jobs
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy

FULL = 100
MOST_RUNNING = 10**6
Rank = tuple[bool, int, int, int, datetime, str]
"""The smallest goes first: not urgent; the deadline or the inverse of the renter's claim; bid; what the job has running; age."""


@dataclass(frozen=True)
class Farm:
    """`slots` that could render, and the micro-WU a minute of all of them together."""

    slots: int
    speed: int


def weight(bid: int, best: int, policy: Policy) -> int:
    """Of 100, by the highest bid there is."""
    return max(policy.least_weight, FULL * bid * bid // (best * best)) if best else FULL


def claim(running: int, weight: int, waited_seconds: int, policy: Policy) -> int:
    """Inverse of a renter's claim to the next slot, in millionths."""
    return (running + 1) * 10**6 * FULL * policy.chunk // (weight * (policy.chunk + waited_seconds))


def is_near(one: Rank, best: Rank, policy: Policy) -> bool:
    """Whether an agent that is better for it may take this one before the best; never before one that is in a hurry."""
    return one[0] and best[0] and one[1] * FULL <= best[1] * policy.cached_claim_percent and one[2] <= best[2]


def lacking(job: Job, running: int, farm: Farm, now: datetime, policy: Policy, due: datetime | None = None) -> int:
    """Slots that the job needs beyond those it has, to be done by the deadline that it was promised (or by `due`); 0 without one,
    or when that is out of reach."""
    due = due or deadlines.promised(job)
    if due is None or job.micro_wu is None or not farm.slots or not farm.speed:
        return 0
    left = job.micro_wu.expected * count(job.uncut) // max(1, job.to_render)
    seconds = _seconds(due, now) - policy.deadline_reserve
    if seconds <= 0:
        return 0
    needed = -(-left * policy.deadline_margin_percent * 60 * farm.slots // (FULL * seconds * farm.speed))
    return max(0, needed - running) if needed <= farm.slots else 0


def _seconds(due: datetime, now: datetime) -> int:
    return int((due - now).total_seconds())


class Turns:
    """Ranks for one round of giving out. `served`: when each renter last got a chunk, as far as this process remembers."""

    def __init__(
        self, open_: Mapping[str, Job], running: Counter[str], served: Mapping[str, datetime], now: datetime, policy: Policy
    ) -> None:
        self._jobs, self._running, self._now, self._policy = open_, running, now, policy
        self._renters: Counter[str] = Counter()
        for job, number in running.items():
            if job in open_:
                self._renters[open_[job].account] += number
        self._since: dict[str, datetime] = {}
        for one in open_.values():
            self._since[one.account] = min(one.created_at, self._since.get(one.account, one.created_at))
        self._since.update({account: at for account, at in served.items() if account in self._since})
        self._best = max((jobs.bid(job) for job in open_.values()), default=0)
        self._slots = sum(self._renters.values()) + 1
        self._lacking: Counter[str] = Counter()
        self._due: Counter[str] = Counter()
        self._hurried: Counter[str] = Counter()
        self._urgent_left = 0

    def hurry(self, farm: Farm) -> None:
        """Deadlines count from now on. What urgent jobs have running already is part of what they may have."""
        for id, job in self._jobs.items():
            running, promised, own = self._running[id], deadlines.promised(job), deadlines.deadline(job)
            short = lacking(job, running, farm, self._now, self._policy)
            if short and promised is not None:
                self._lacking[id] = short
                self._due[id] = _seconds(promised, self._now)
            elif own is not None and lacking(job, running, farm, self._now, self._policy, own):
                self._hurried[id] = MOST_RUNNING - min(MOST_RUNNING - 1, _seconds(own, self._now))
        taken = sum(self._running[id] for id in self._lacking)
        self._urgent_left = max(0, farm.slots * self._policy.urgent_percent // FULL - taken)

    def rank(self, job: str) -> Rank:
        it = self._jobs[job]
        is_urgent = self._urgent_left > 0 and self._lacking[job] > 0
        waited = max(0, int((self._now - self._since[it.account]).total_seconds()))
        mine = claim(self._renters[it.account], weight(jobs.bid(it), self._best, self._policy), waited, self._policy)
        mine = 0 if self._is_starving(it.account, waited) else mine
        return not is_urgent, self._due[job] if is_urgent else mine, -jobs.bid(it), self._next(job), it.created_at, job

    def _is_starving(self, account: str, waited: int) -> bool:
        """He has less than a twentieth of a fair share running, and got nothing for as long as one takes to come round, a tenth
        less to spare for chunks that take longer."""
        shares, least = FULL * len(self._since), self._policy.least_weight
        is_short = self._renters[account] * shares <= least * self._slots
        return is_short and waited * least * self._slots * 10 > self._policy.chunk * shares * 9

    def _next(self, job: str) -> int:
        """Among jobs of one renter at one bid: what he wants first, then what would miss a deadline that was not promised, then
        what has the least running."""
        return self._running[job] - self._hurried[job] - 2 * MOST_RUNNING * self._jobs[job].wishes.priority

    def note(self, job: str) -> None:
        """The slot goes to it."""
        account = self._jobs[job].account
        self._running[job] += 1
        self._renters[account] += 1
        self._since[account] = self._now
        if self._lacking[job]:
            self._lacking[job] -= 1
            self._urgent_left -= 1
