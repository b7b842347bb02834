"""The hot path: batches of stored frames, charged together.

A batch is one reading of its jobs, one of what the ledger holds for its frames, and one transaction with the charge documents,
the jobs' new sums and the balances, whatever its size. JobCharged goes out once per touched job with absolute sums and the job's
revision; because the sums are saved in the transaction that inserts the charges, a crash at any point leaves them equal to the
postings, and a batch told again finds its keys on the ledger and changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from contracts.events import FramesStored
from contracts.values import Kind
from services.billing.domain.charging import Delivery, Standing, stored
from services.billing.domain.job import Job, Outcome
from services.billing.domain.ledger import Posting, PostingKind
from services.billing.domain.pricing import Tariff
from services.billing.repository.books import TRIES, Books
from services.billing.repository.frozen import Owners, Tariffs
from services.chassis.delivery import Received
from services.chassis.repository import Change, Contended, Prepared, Saved
from services.chassis.verdicts import NotYet

log = structlog.get_logger()
Batch = Sequence[Received[FramesStored]]
Outcomes = list[BaseException | None]


@dataclass
class _Decided:
    """What one reading of the database made of a batch."""

    outcomes: Outcomes
    changes: list[Change[Job]] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)


class Deliveries:
    def __init__(self, books: Books, owners: Owners, tariffs: Tariffs) -> None:
        self._books, self._owners, self._tariffs = books, owners, tariffs

    async def charge(self, batch: Batch) -> tuple[Outcomes, list[Job]]:
        """One outcome per message, and the jobs as they are now; domain faults are among the outcomes as they were raised."""
        async with self._books.pen:
            decided, told = await self._charged(batch)
        await self._books.jobs.pending.tell(told.told)
        for job in (change.state for change in decided.changes):
            log.info("frames charged", job=job.job, account=job.account, frames=job.frames, charged_micro=job.charged_micro)
        return decided.outcomes, [change.state for change in decided.changes]

    async def _charged(self, batch: Batch) -> tuple[_Decided, Prepared]:
        for _ in range(TRIES):
            decided = await self._decide(batch)
            told = await self._books.enter(decided.changes, decided.postings) if decided.changes else Prepared((), ())
            if told is not None:
                return decided, told
        raise Contended("a batch of stored frames")

    async def _decide(self, batch: Batch) -> _Decided:
        events = [received.event for received in batch]
        saved = await self._books.jobs.read_many(event.job for event in events)
        owners = await self._owners.known(event.agent for event in events)
        tariffs = await self._tariffs.read_many((event.job, event.version) for event in events if event.kind is Kind.RENDER)
        standing = await self._books.postings.standing(_frames(event for event in events if event.job in saved))
        decided = _Decided([NotYet("the job is not known")] * len(batch))
        for job, before in saved.items():
            mine = [(at, one) for at, one in enumerate(batch) if one.event.job == job]
            _Pass(before, owners, tariffs, standing[job]).over(mine, decided)
        return decided


class _Pass:
    """Over the messages of one job, each decided on what those before it left."""

    def __init__(
        self,
        before: Saved[Job],
        owners: Mapping[str, str],
        tariffs: Mapping[tuple[str, int], Tariff],
        standing: dict[int, Standing],
    ) -> None:
        self._before, self._owners, self._tariffs, self._standing = before, owners, tariffs, standing

    def over(self, mine: Sequence[tuple[int, Received[FramesStored]]], decided: _Decided) -> None:
        job, postings = self._before.state, list[Posting]()
        for at, received in mine:
            try:
                outcome = self._one(job, received.event)
            except Exception as problem:
                decided.outcomes[at] = problem
                continue
            decided.outcomes[at] = None
            job = outcome.job
            postings += outcome.postings
            self._standing |= _stands(outcome.postings)
        if postings:
            decided.changes.append(Change(self._before, job, [job.charged()], mine[0][1].trace))
            decided.postings += postings

    def _one(self, job: Job, event: FramesStored) -> Outcome:
        owner = self._owners.get(event.agent)
        if owner is None:
            raise NotYet(f"agent {event.agent} is not enrolled")
        frames = tuple(frame.frame for frame in event.frames)
        delivery = Delivery(event.attempt, event.agent, owner, event.kind, event.generation, event.version, frames)
        return stored(job, delivery, self._tariffs.get((event.job, event.version)), self._standing)


def _frames(events: Iterable[FramesStored]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        found.setdefault(event.job, []).extend(frame.frame for frame in event.frames)
    return found


def _stands(postings: Iterable[Posting]) -> dict[int, Standing]:
    return {
        posting.frame: Standing(posting)
        for posting in postings
        if posting.frame is not None and posting.kind is not PostingKind.REVERSE
    }
