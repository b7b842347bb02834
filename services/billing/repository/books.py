"""The one place where money moves: decide on a job, then save the job, the postings and the balances together.

One pen per process: decisions about money are made one after the other, so that replicas of them never race inside a process.
Between processes (a failover) the job's version, the balance guards and the postings' unique keys are the fence: one transaction
commits, the other decides again on what it finds. Announcing is outside the pen.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import Counter
from pymongo import ASCENDING
from pymongo.errors import BulkWriteError

from contracts.events import JobSubmitted
from services.billing.domain.faults import Breach
from services.billing.domain.holding import expired
from services.billing.domain.job import Job, OfferState, Outcome, Stage
from services.billing.domain.ledger import Posting, PostingKind
from services.billing.domain.settling import may_settle, settled
from services.billing.repository.accounts import Accounts, moves, owners
from services.billing.repository.postings import Postings, payables
from services.chassis.repository import Change, Contended, Prepared, Saved, SavedThenTold
from services.chassis.service import Ground
from services.chassis.verdicts import NotYet

Decide = Callable[[Job, int, datetime], Outcome]
"""(the job, its account's available micro-credits, now) → what changes."""
log = structlog.get_logger()
TRIES = 20
SWEPT_AT_ONCE = 500
DUPLICATE_KEY = 11000

POSTINGS = Counter("framelend_billing_postings", "Postings entered", ["kind"])
POSTED = Counter("framelend_billing_posted_micro_credits", "Micro-credits moved by postings", ["kind"])
for _kind in PostingKind:  # from 0 on, so that the first one is seen as a step
    POSTINGS.labels(_kind.value)
    POSTED.labels(_kind.value)


class _Lost(Exception):
    """Somebody else was faster; the transaction is aborted and the decision made anew."""


class Books:
    def __init__(self, ground: Ground, accounts: Accounts, postings: Postings) -> None:
        self.jobs: SavedThenTold[Job] = ground.repository("jobs", Job)
        self.accounts, self.postings = accounts, postings
        self.pen = asyncio.Lock()
        self._client, self._clock = ground.database.client, ground.clock

    async def job(self, id: str) -> Job:
        """Raises NotYet."""
        return (await self.read(id)).state

    async def read(self, id: str) -> Saved[Job]:
        saved = await self.jobs.read(id)
        if saved is None:
            raise NotYet(f"job {id} is not known")
        return saved

    async def begin(self, event: JobSubmitted) -> None:
        """Remember the job, deposit undecided. Raises NotYet while its account is not open."""
        if not await self.accounts.is_open(event.account):
            raise NotYet(f"account {event.account} is not open")
        await self.jobs.add(event.job, Job.of(event))

    async def decide(self, id: str, decide: Decide) -> Job:
        """Returns the job after it. Raises NotYet for an unknown one, Contended, and what `decide` raises."""
        async with self.pen:
            outcome, told = await self._decided(id, decide)
        if told is not None:
            await self.tell(told, outcome.postings)
        return outcome.job

    async def _decided(self, id: str, decide: Decide) -> tuple[Outcome, Prepared | None]:
        for _ in range(TRIES):
            saved = await self.read(id)
            available = await self.accounts.available(saved.state.account)
            outcome = decide(saved.state, available, await self._clock.now())
            if outcome == Outcome(saved.state):
                return outcome, None
            told = await self.enter([Change(saved, outcome.job, outcome.events)], outcome.postings)
            if told is not None:
                return outcome, told
        raise Contended(f"job {id}")

    async def post(self, postings: Sequence[Posting]) -> list[Posting]:
        """Postings that concern no job's sums; those on the ledger already are left out. Returns what was entered."""
        async with self.pen:
            entered = await self._posted(postings)
        if entered:
            await self.accounts.tell(owners(entered))
        return entered

    async def _posted(self, postings: Sequence[Posting]) -> list[Posting]:
        for _ in range(TRIES):
            missing = await self.postings.missing(posting.key for posting in postings)
            new = [posting for posting in postings if posting.key in missing]
            if not new or await self.enter([], new) is not None:
                return new
        raise Contended(postings[0].key)

    async def mature(self) -> int:
        """Make earnings payable whose audit window has closed; returns how many."""
        async with self.pen:
            due = await self.postings.due(await self._clock.now())
            if not due or await self.enter([], payables(due)) is None:
                return 0
        return len(due)

    async def settle(self, job: Job) -> None:
        """When the ledger has the frames of the seal. A seal over other frames is our fault: said, and left to a person."""
        if not may_settle(job):
            return
        charged = await self.postings.charged_frames(job.job)
        try:
            final = await self.decide(job.job, lambda now_job, _, __: settled(now_job, charged))
        except Breach:
            log.exception("cannot settle", job=job.job, account=job.account)
            return
        log.info("job settled", job=job.job, account=job.account, charged_micro=final.charged_micro, frames=final.frames)

    async def settle_sealed(self) -> int:
        """Jobs that are sealed and not settled, in case a crash came between; returns how many are waiting."""
        query = {"seal.count": {"$gte": 0}, "stage": {"$ne": Stage.SETTLED.value}}
        waiting = [self.jobs.saved(d).state async for d in self.jobs.collection.find(query).limit(SWEPT_AT_ONCE)]
        for job in waiting:
            await self.settle(job)
        return len(waiting)

    async def expire_quotes(self) -> int:
        """Quotes whose time is over; returns how many."""
        query = {"offer.state": OfferState.OPEN.value, "offer.expires_at": {"$lte": await self._clock.now()}}
        found = await self.jobs.collection.find(query, {"_id": 1}).limit(SWEPT_AT_ONCE).to_list(None)
        for document in found:
            await self.decide(document["_id"], lambda job, _, now: expired(job, now))
        return len(found)

    async def ensure_indexes(self) -> None:
        await self.jobs.collection.create_index(
            [("seal.count", ASCENDING), ("stage", ASCENDING)],
            partialFilterExpression={"seal.count": {"$gte": 0}},
            name="sealed",
        )
        await self.jobs.collection.create_index(
            [("offer.expires_at", ASCENDING)], partialFilterExpression={"offer.state": OfferState.OPEN.value}, name="open quotes"
        )

    async def enter(self, changes: Sequence[Change[Job]], postings: Sequence[Posting]) -> Prepared | None:
        """All of it in one transaction, or None and nothing. With the pen in hand; the caller tells afterwards."""
        prepared, now = await self.jobs.prepare(changes), await self._clock.now()

        async def write(session: Any) -> None:
            await self._matched(self.jobs.collection, prepared.operations, session)
            await self._insert(postings, now, session)
            await self._matched(self.accounts.collection, moves(postings), session)

        async with await self._client.start_session() as session:
            try:
                await session.with_transaction(write)
            except _Lost:
                return None
        _count(postings)
        return prepared

    async def tell(self, told: Prepared, postings: Sequence[Posting]) -> None:
        """Announce what was saved; balances too (what a crash leaves untold, sweeps tell)."""
        await self.jobs.pending.tell(told.told)
        await self.accounts.tell(owners(postings))

    async def _insert(self, postings: Sequence[Posting], now: datetime, session: Any) -> None:
        if not postings:
            return
        try:
            await self.postings.collection.insert_many(self.postings.documents(postings, now), session=session)
        except BulkWriteError as problem:
            raise _verdict(problem) from problem
        if undue := self.postings.undue(postings):
            await self.postings.collection.bulk_write(undue, session=session)

    async def _matched(self, collection: Any, operations: Sequence[Any], session: Any) -> None:
        if not operations:
            return
        try:
            result = await collection.bulk_write(list(operations), session=session)
        except BulkWriteError as problem:
            raise _verdict(problem) from problem
        if result.matched_count + len(result.upserted_ids or {}) != len(operations):
            raise _Lost


def _count(postings: Sequence[Posting]) -> None:
    for posting in postings:
        POSTINGS.labels(posting.kind.value).inc()
        POSTED.labels(posting.kind.value).inc(sum(leg.amount_micro for leg in posting.legs if leg.amount_micro > 0))


def _verdict(problem: BulkWriteError) -> Exception:
    """A key that is there already is a lost race; anything else is what it is."""
    errors = (problem.details or {}).get("writeErrors", ())
    return _Lost() if any(error["code"] == DUPLICATE_KEY for error in errors) else problem
