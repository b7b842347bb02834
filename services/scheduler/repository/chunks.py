"""Chunks: one document each, with its lease, its attempts and what is stored of it."""

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.chassis.indexes import drop_former
from services.chassis.pending import Told
from services.chassis.repository import Change, Decide, Decision, New, Saved, SavedThenTold
from services.scheduler import metrics
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.states import HELD_CHUNK, OPEN_CHUNK, ChunkState

_HELD, _OPEN = sorted(HELD_CHUNK), sorted(OPEN_CHUNK)
_EVER: dict[str, Any] = {"$gt": datetime(1970, 1, 1, tzinfo=UTC)}
"""Any time: the database takes a partial index only for a question that says its condition, and `$type` is said by none."""
_AT_WORK: dict[str, Any] = {"holder.hard_end": _EVER, "holder.done_at": None}
_DONE: dict[str, Any] = {"holder.done_at": _EVER}
_UNUSED = {"state_1_job_1_opened_at_1", "job_1", "holder.hard_end_1", "holder.done_at_1"}

_FRAMES = {"$sum": {"$add": [{"$floor": {"$divide": [{"$subtract": ["$of.last", "$of.first"]}, "$of.step"]}}, 1]}}
_BY_AGENT: list[dict[str, Any]] = [
    {"$unwind": "$deliveries"},
    {"$project": {"agent": "$deliveries.agent", "of": "$deliveries.frames"}},
    {"$unwind": "$of"},
    {"$group": {"_id": "$agent", "frames": _FRAMES}},
]
_IN_ALL = [{"$match": {"copy_of": {"$in": ["", None]}}}, {"$group": {"_id": None, "stored": {"$sum": "$stored"}}}]
COUNTING_SHARE = 20
"""Counting a job's frames takes at most this part of the time; until then the last count stands."""


@dataclass(frozen=True)
class Tally:
    """Of one job: frames stored, in all and by agent. `is_fresh`: counted just now."""

    stored: int
    by_agent: dict[str, int]
    is_fresh: bool = True


@dataclass(frozen=True)
class _Counted:
    tally: Tally
    until: float


class Chunks:
    def __init__(self, store: SavedThenTold[Chunk]) -> None:
        self.store = store
        self._counted: dict[str, _Counted] = {}

    async def ensure_indexes(self) -> None:
        collection = self.store.collection
        await collection.create_index([("state", 1), ("job", 1), ("opened_at", 1), ("house", 1)])
        await collection.create_index([("job", 1)], partialFilterExpression={"stored": {"$gt": 0}}, name="stored of a job")
        await collection.create_index([("holder.hard_end", 1)], partialFilterExpression=_AT_WORK, name="at work")
        await collection.create_index([("holder.done_at", 1)], partialFilterExpression=_DONE, name="done")
        await drop_former(collection, _UNUSED)

    async def get(self, chunk: str) -> Chunk | None:
        return await self.store.get(chunk)

    async def read_many(self, chunks: Iterable[str]) -> dict[str, Saved[Chunk]]:
        return await self.store.read_many(chunks)

    async def recall_many(self, chunks: Iterable[str]) -> dict[str, Saved[Chunk]]:
        """As this process has last read or written them; to write on, not to refuse on."""
        return await self.store.recall_many(chunks)

    def forget(self, chunks: Iterable[str]) -> None:
        """Their agents are done with them: the next word of them is storage's, and on that they are read."""
        self.store.forget(chunks)

    async def current(self, chunks: Iterable[str]) -> dict[str, Saved[Chunk]]:
        """As they are; read anew only where they have changed."""
        return {saved.id: saved for saved in await self.store.current({"_id": {"$in": list(set(chunks))}})}

    async def update(self, chunk: str, decide: Decide[Chunk]) -> Chunk:
        before: list[Chunk] = []

        def remembering(state: Chunk, now: datetime) -> Decision[Chunk]:
            before[:] = [state]
            return decide(state, now)

        after = await self.store.update(chunk, remembering)
        _count(before[0], after)
        return after

    async def save(self, changes: Sequence[Change[Chunk]]) -> list[bool]:
        won, told = await self.write(changes)
        await self.store.pending.tell(told)
        return won

    async def write(self, changes: Sequence[Change[Chunk]]) -> tuple[list[bool], list[Told]]:
        """As `save`; what is to be told comes back."""
        won, told = await self.store.write(changes)
        for change, good in zip(changes, won, strict=True):
            if good:
                _count(change.before.state, change.state)
        return won, told

    async def add_many(self, new: Sequence[New[Chunk]]) -> list[bool]:
        return await self.store.add_many(new)

    async def insert(self, new: Sequence[New[Chunk]]) -> tuple[list[bool], list[Told]]:
        """As `add_many`; what is to be told comes back."""
        return await self.store.insert(new)

    async def tell(self, told: Sequence[Told]) -> None:
        await self.store.pending.tell(told)

    async def existing(self, chunks: Collection[str]) -> set[str]:
        cursor = self.store.collection.find({"_id": {"$in": list(chunks)}}, {"_id": 1})
        return {document["_id"] async for document in cursor}

    async def queued(self, jobs: Collection[str], most: int, house: bool | None = None) -> list[Saved[Chunk]]:
        """Nobody's, of these jobs, those that have waited longest first. `house`: those for the house, or the others."""
        query = {"state": ChunkState.QUEUED, "job": {"$in": list(jobs)}} | ({} if house is None else {"house": house})
        return await self._found(query, sort=[("opened_at", 1)], limit=most)

    async def open_of(self, job: str, most: int = 500) -> list[Saved[Chunk]]:
        return await self._found({"job": job, "state": {"$in": _OPEN}}, limit=most)

    async def held_of(self, jobs: Collection[str], most: int = 500) -> list[Saved[Chunk]]:
        """In hand, of these jobs."""
        return await self._found({"state": {"$in": _HELD}, "job": {"$in": list(jobs)}}, limit=most)

    async def at_work(self, most: int = 500) -> list[Saved[Chunk]]:
        """In hand, of whatever job, and their agents have not said that they are done."""
        return await self._found({"state": {"$in": _HELD}, **_AT_WORK}, limit=most)

    async def any_open(self, job: str) -> bool:
        found = await self.store.collection.find_one({"job": job, "state": {"$in": _OPEN}}, {"_id": 1})
        return found is not None

    async def jobs_with_open(self) -> list[str]:
        return await self._jobs_in(_OPEN)

    async def jobs_queued(self) -> list[str]:
        return await self._jobs_in([ChunkState.QUEUED])

    async def _jobs_in(self, states: Sequence[str]) -> list[str]:
        """State by state, so that the index jumps from job to job instead of walking every chunk."""
        found = [await self.store.collection.distinct("job", {"state": state}) for state in states]
        return sorted({job for jobs in found for job in jobs})

    async def overdue(self, now: datetime) -> list[Chunk]:
        """Held beyond their hard end by agents that have not said that they are done."""
        query = {**_AT_WORK, "holder.hard_end": {**_EVER, "$lt": now}, "state": {"$in": _HELD}}
        found = await self._found(query, limit=500)
        return [saved.state for saved in found]

    async def done_before(self, at: datetime) -> list[Chunk]:
        """Whose agents said before this time that nothing is left to do."""
        found = await self._found({"holder.done_at": {**_EVER, "$lt": at}, "state": {"$in": _HELD}}, limit=500)
        return [saved.state for saved in found]

    async def held(self, claimed_before: datetime) -> list[tuple[str, str, str]]:
        """(chunk, attempt, agent) of every attempt under way whose agent has not said that it is done."""
        query = {"state": {"$in": _HELD}, "holder.at": {"$lt": claimed_before}, **_AT_WORK}
        cursor = self.store.collection.find(query, {"holder.attempt": 1, "holder.agent": 1})
        return [(one["_id"], one["holder"]["attempt"], one["holder"]["agent"]) async for one in cursor]

    async def counts(self) -> dict[str, int]:
        stages = [{"$match": {"state": {"$in": _OPEN}}}, {"$group": {"_id": "$state", "chunks": {"$sum": 1}}}]
        return {group["_id"]: group["chunks"] async for group in self.store.collection.aggregate(stages)}

    async def tally(self, job: str) -> Tally:
        """What is stored of a job: counted from its chunks, by the database. Of a long job the last count may stand a while."""
        known = self._counted.get(job)
        if known is not None and time.monotonic() < known.until:
            return replace(known.tally, is_fresh=False)
        began = time.monotonic()
        tally = await self._count(job)
        ended = time.monotonic()
        self._counted = {of: one for of, one in self._counted.items() if ended < one.until}
        self._counted[job] = _Counted(tally, ended + COUNTING_SHARE * (ended - began))
        return tally

    async def _count(self, job: str) -> Tally:
        both = {"$facet": {"by_agent": _BY_AGENT, "in_all": _IN_ALL}}
        stages = [{"$match": {"job": job, "stored": {"$gt": 0}}}, both]
        (found,) = [one async for one in self.store.collection.aggregate(stages)]
        stored = sum(one["stored"] for one in found["in_all"])
        return Tally(stored, {one["_id"]: int(one["frames"]) for one in found["by_agent"]})

    async def _found(self, query: dict[str, Any], limit: int, sort: list[tuple[str, int]] | None = None) -> list[Saved[Chunk]]:
        cursor = self.store.collection.find(query, {"pending": 0, "_writers": 0}, limit=limit, sort=sort)
        return [self.store.saved(document) async for document in cursor]


def _count(before: Chunk, after: Chunk) -> None:
    if before.state is not after.state:
        metrics.CHUNK_MOVES.labels(before.state, after.state).inc()
    known = {past.attempt for past in before.former}
    for past in after.former:
        if past.attempt not in known:
            metrics.ENDED.labels(past.why).inc()


class Standing:
    """Whether an attempt still holds its chunk, asked for many at once: questions of one moment travel in one query."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._asked: dict[str, asyncio.Future[str | None]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def holds(self, chunk: str, attempt: str) -> bool:
        if chunk not in self._asked:
            if not self._asked:
                task = asyncio.create_task(self._ask())
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            self._asked[chunk] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._asked[chunk]) == attempt

    async def _ask(self) -> None:
        await asyncio.sleep(0)
        asked, self._asked = self._asked, {}
        try:
            cursor = self._collection.find({"_id": {"$in": list(asked)}}, {"holder.attempt": 1})
            holders = {one["_id"]: (one.get("holder") or {}).get("attempt") async for one in cursor}
        except Exception as problem:
            for future in asked.values():
                future.set_exception(problem)
            return
        for chunk, future in asked.items():
            future.set_result(holders.get(chunk))
