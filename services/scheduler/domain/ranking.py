"""Whose turn it is: which job the next free slot goes to.

Theory. Weighted fair sharing between renters. A renter's claim grows with the weight of his bid and with the time since he last
got anything, and shrinks with what he has running; the largest claim gets the slot. The highest bid weighs 100, others by the
square of their share of it, nobody less than 5. With many slots the running attempts settle in proportion to the weights (nobody
below a twentieth of a fair share); with few slots the waiting does it, and who has got nothing for as long as a twentieth of a
fair share takes to come round is next whatever he bids. At equal bids a renter with nothing running comes first, however much
others have queued.

Before all that come jobs that would miss their deadline at what they have running, the earliest deadline first: just as many
slots as they lack, in all no more than nine tenths of the farm. Near the end every chunk that came back lacks one; of a job with
frames still to be cut only while it is in reach, and beside what it needs no more than those, for its slots may go to other
chunks. With less than ten slots nine tenths are whole slots only in turns: jobs in a hurry may have all of them, until others
with something to give out have got nothing for so long that a tenth of the farm would have done them a chunk. One that could not
make it with all slots gets no privilege, for it would only harm others; nor one that was not in reach when the accepted price was
made (domain.deadlines), for deadlines cost nothing. Whatever is short goes first among its renter's jobs of that bid and
priority, promised or not.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.values import Kind, count
from services.scheduler.domain import deadlines
from services.scheduler.domain import job as jobs
from services.scheduler.domain.chunk import Chunk
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


@dataclass(frozen=True)
class Back:
    """Of one job: what was given back or lost, and waits for any agent: no slot of a lender's helps what waits for the house."""

    chunks: int = 0
    frames: int = 0


NOTHING = Back()


def back(queued: Iterable[Chunk]) -> dict[str, Back]:
    found: dict[str, Back] = {}
    for one in queued:
        if one.kind is Kind.RENDER and not one.house:
            known = found.get(one.job, NOTHING)
            found[one.job] = Back(known.chunks + 1, known.frames + max(0, count(one.frames) - one.stored))
    return found


def lacking(
    job: Job, running: int, farm: Farm, now: datetime, policy: Policy, due: datetime | None = None, back: Back = NOTHING
) -> int:
    """Slots that the job needs beyond those it has, to be done by the deadline that it was promised (or by `due`); 0 without one,
    or when that is out of reach. Near its end at least one for every chunk that came `back`, for nobody else renders those."""
    due = due or deadlines.promised(job)
    if due is None or job.micro_wu is None or not farm.slots or not farm.speed:
        return 0
    near = back.chunks if 0 < _seconds(due, now) <= 2 * policy.deadline_reserve else 0
    left = job.micro_wu.expected * (count(job.uncut) + back.frames) // max(1, job.to_render)
    seconds = _seconds(due, now) - policy.deadline_reserve
    needed = -(-left * policy.deadline_margin_percent * 60 * farm.slots // (FULL * seconds * farm.speed)) if seconds > 0 else None
    if needed is None or needed > farm.slots:
        return 0 if job.uncut else near
    return max(0, needed - running, min(near, near + needed - running) if job.uncut else near)


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
        self._served = served
        self._best = max((jobs.bid(job) for job in open_.values()), default=0)
        self._slots = sum(self._renters.values()) + 1
        self._lacking: Counter[str] = Counter()
        self._due: Counter[str] = Counter()
        self._hurried: Counter[str] = Counter()
        self._urgent_left = 0
        self._asking: set[str] = set()

    def hurry(self, farm: Farm, queued: Iterable[Chunk] = ()) -> None:
        """Deadlines count from now on. What urgent jobs have running already is part of what they may have."""
        queued = tuple(queued)
        waiting = back(queued)
        self._asking = {job.account for job in self._jobs.values() if job.uncut and job.state in deadlines.RENDERING}
        self._asking |= {self._jobs[one.job].account for one in queued if not one.house and one.job in self._jobs}
        for id, job in self._jobs.items():
            own, promised = deadlines.deadline(job), deadlines.promised(job)
            if own is not None and self._short(job, farm, own, waiting):
                self._hurried[id] = MOST_RUNNING - min(MOST_RUNNING - 1, _seconds(own, self._now))
            if promised is not None and (short := self._short(job, farm, promised, waiting)):
                self._lacking[id] = short
                self._due[id] = _seconds(promised, self._now)
        taken = sum(self._running[id] for id in self._lacking)
        self._urgent_left = max(0, self._for_urgent(farm.slots) - taken) if self._lacking else 0

    def _short(self, job: Job, farm: Farm, due: datetime, waiting: Mapping[str, Back]) -> int:
        return lacking(job, self._running[job.job], farm, self._now, self._policy, due, waiting.get(job.job, NOTHING))

    def _for_urgent(self, slots: int) -> int:
        """Of so many. A tenth of a farm of less than ten is less than a slot: others have it in turns."""
        least = FULL - self._policy.urgent_percent
        if slots * least >= FULL or self._idle_of_others() * slots * least > self._policy.chunk * (FULL - slots * least):
            return slots * self._policy.urgent_percent // FULL
        return slots

    def _idle_of_others(self) -> int:
        """Seconds since a renter without a job in such a hurry, who has something to give out, last got anything."""
        urgent = {self._jobs[id].account for id in self._lacking}
        others = {account: at for account, at in self._since.items() if account in self._asking - urgent}
        if not others:
            return 0
        last = max((at for account, at in self._served.items() if account in others), default=min(others.values()))
        return _seconds(self._now, last)

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
