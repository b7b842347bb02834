"""Quotes and what became of them: one document per version of a job, kept after the job."""

from services.chassis.repository import Decide, SavedThenTold
from services.scheduler.domain.quotes import Quote, name


class Quotes:
    def __init__(self, store: SavedThenTold[Quote]) -> None:
        self.store = store

    async def ensure_indexes(self) -> None:
        await self.store.collection.create_index([("made_at", -1)])

    async def keep(self, quote: Quote) -> None:
        """The first word counts: a version is firm."""
        await self.store.add(name(quote.job, quote.version), quote)

    async def get(self, job: str, version: int) -> Quote | None:
        return await self.store.get(name(job, version))

    async def update(self, job: str, version: int, decide: Decide[Quote]) -> Quote:
        """Raises Unknown for a version that was never quoted."""
        return await self.store.update(name(job, version), decide)

    async def newest(self, most: int) -> list[Quote]:
        cursor = self.store.collection.find({}, {"pending": 0, "_writers": 0}, limit=most, sort=[("made_at", -1)])
        return [self.store.decode(document) async for document in cursor]
