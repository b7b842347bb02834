"""The jobs storage has heard of."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pymongo import ASCENDING

from services.chassis.repository import SavedThenTold
from services.chassis.service import Ground
from services.storage.domain.job import Decided, Job, JobState


class Jobs:
    def __init__(self, ground: Ground) -> None:
        self.saved: SavedThenTold[Job] = ground.repository("jobs", Job)

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index([("state", ASCENDING), ("until", ASCENDING)], name="due")
        await self.saved.collection.create_index([("account", ASCENDING), ("bundle", ASCENDING)], name="users of a bundle")

    async def add(self, job: Job) -> None:
        """Repeats change nothing."""
        await self.saved.add(job.id, job, ())

    async def get(self, job: str) -> Job | None:
        return await self.saved.get(job)

    async def known(self, jobs: Iterable[str]) -> dict[str, Job]:
        return {id: saved.state for id, saved in (await self.saved.read_many(sorted(set(jobs)))).items()}

    async def update(self, job: str, decide: Callable[[Job, datetime], Decided]) -> Job:
        """Raises Unknown."""
        return await self.saved.update(job, decide)

    async def due_for_purge(self, now: datetime, ordered: Sequence[str]) -> list[str]:
        """A hundred, but for those that are ordered already."""
        states = [JobState.SEALED, JobState.PACKAGED]
        query = {"state": {"$in": states}, "until": {"$lt": now}, "_id": {"$nin": list(ordered)}}
        return [document["_id"] async for document in self.saved.collection.find(query, {"_id": 1}).limit(100)]

    async def use(self, account: str, bundle: str) -> bool:
        """True while some job of this account may still need the bundle."""
        query = {"account": account, "bundle": bundle, "state": {"$in": [JobState.OPEN, JobState.CLOSED]}}
        return await self.saved.collection.find_one(query, {"_id": 1}) is not None
