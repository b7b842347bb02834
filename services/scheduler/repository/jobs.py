"""Jobs: one document each, which never grows with its frames."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from services.chassis.repository import Change, Decide, DecideFromNothing, Decision, Saved, SavedThenTold, Unknown
from services.scheduler import metrics
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import HELD_UP, WORKING, JobState

log = structlog.get_logger()

_DEADLINE = "asked.limits.deadline"
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Before any time: a partial index is taken for a question that says its condition."""


class Jobs:
    def __init__(self, store: SavedThenTold[Job]) -> None:
        self.store = store

    async def ensure_indexes(self) -> None:
        await self.store.collection.create_index([("state", 1), ("created_at", 1)])
        has_deadline = {_DEADLINE: {"$gt": _EVER}}
        await self.store.collection.create_index(
            [("state", 1), (_DEADLINE, 1)], partialFilterExpression=has_deadline, name="deadlines"
        )

    async def get(self, job: str) -> Job | None:
        return await self.store.get(job)

    async def get_many(self, jobs: set[str]) -> dict[str, Job]:
        return {id: saved.state for id, saved in (await self.store.read_many(jobs)).items()}

    async def read_many(self, jobs: Iterable[str]) -> dict[str, Saved[Job]]:
        return await self.store.read_many(jobs)

    async def recall_many(self, jobs: Iterable[str]) -> dict[str, Saved[Job]]:
        """As this process has last read or written them; to write on."""
        return await self.store.recall_many(jobs)

    async def save(self, changes: Sequence[Change[Job]]) -> list[bool]:
        """One grouped write; says which were saved, and tells those."""
        won = await self.store.save(changes)
        for change, good in zip(changes, won, strict=True):
            if good:
                _moved(change.before.state, change.state)
        return won

    async def update(self, job: str, decide: Decide[Job]) -> Job:
        def decide_known(state: Job | None, now: datetime) -> Decision[Job]:
            if state is None:
                raise Unknown(job)
            return decide(state, now)

        return await self.update_or_add(job, decide_known)

    async def update_or_add(self, job: str, decide: DecideFromNothing[Job]) -> Job:
        before: list[Job | None] = [None]

        def remembering(state: Job | None, now: datetime) -> Decision[Job]:
            before[0] = state
            return decide(state, now)

        after = await self.store.update_or_add(job, remembering)
        _moved(before[0], after)
        return after

    async def working(self) -> list[Job]:
        """Those that may have something to give out."""
        return [saved.state for saved in await self.store.current({"state": {"$in": sorted(WORKING)}})]

    async def held_up_beyond(self, now: datetime) -> list[Job]:
        """Those that are paused, or wait for a word on a new price, whose deadline is over and nobody has been told. They are not
        kept in mind: that is for those that have something to give out."""
        over, is_untold = {"$gt": _EVER, "$lt": now}, {"$ne": ["$missed", f"${_DEADLINE}"]}
        return await self._found({"state": {"$in": sorted(HELD_UP)}, _DEADLINE: over, "$expr": is_untold})

    async def with_cuts(self) -> list[Job]:
        """Those whose last cuts may lack their chunks."""
        return await self._found({"state": {"$in": sorted(WORKING | HELD_UP)}, "cuts.0": {"$exists": True}})

    async def nearly_rendered(self) -> list[str]:
        """Those with nothing left to cut."""
        query = {"state": {"$in": [JobState.QUEUED, JobState.RENDERING]}, "uncut.0": {"$exists": False}}
        return [found["_id"] async for found in self.store.collection.find(query, {"_id": 1})]

    async def not_working(self, jobs: list[str]) -> list[Job]:
        """Of these, those that are paused or over."""
        return await self._found({"_id": {"$in": jobs}, "state": {"$nin": sorted(WORKING)}})

    async def leaving_out(self) -> list[Job]:
        """Those whose renters do not want some of their frames any more."""
        return await self._found({"state": {"$in": sorted(WORKING)}, "wishes.left_out.0": {"$exists": True}})

    async def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        stages = [{"$match": {"state": {"$in": sorted(JobState)}}}, {"$group": {"_id": "$state", "jobs": {"$sum": 1}}}]
        groups = self.store.collection.aggregate(stages)
        return {group["_id"]: group["jobs"] async for group in groups}

    async def _found(self, query: dict[str, Any]) -> list[Job]:
        cursor = self.store.collection.find(query, {"pending": 0, "_writers": 0})
        return [self.store.decode(document) async for document in cursor]


def _moved(before: Job | None, after: Job) -> None:
    if after.revision > (before.revision if before else 0):
        metrics.JOB_MOVES.labels(after.state).inc()
        log.info("job moved", job=after.job, account=after.account, state=after.state, reason=after.reason)
