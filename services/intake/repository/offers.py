"""Offers to lenders who choose by hand: one document per lender and job, gone a day after the offer."""

from services.chassis.repository import Saved, SavedThenTold
from services.intake.domain import offers as domain
from services.intake.domain.offers import Answer, Offer

KEPT_SECONDS = 86_400
"""Beyond any message that may still speak of it."""


class Offers:
    def __init__(self, saved: SavedThenTold[Offer]) -> None:
        self.saved = saved

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index([("owner", 1), ("ended_at", 1)], name="owner")
        await self.saved.collection.create_index("ended_at", expireAfterSeconds=KEPT_SECONDS, name="ended")

    async def of(self, owner: str, job: str) -> Saved[Offer] | None:
        """Nobody finds another's."""
        found = await self.saved.read(domain.id_of(owner, job))
        return found if found is not None and found.state.told is not None else None

    async def open(self, owner: str, most: int) -> list[Offer]:
        """Not withdrawn, the best paid first."""
        cursor = self.saved.collection.find({"owner": owner, "ended_at": None}, {"pending": 0, "_writers": 0})
        cursor = cursor.sort([("told.price", -1), ("_id", 1)]).limit(most)
        return [self.saved.saved(document).state async for document in cursor]

    async def answer(self, owner: str, job: str, accept: bool, agents: tuple[str, ...]) -> Offer:
        """Raises Refused."""
        query = {"owner": owner, "ended_at": None, "answer": Answer.ACCEPTED, "job": {"$ne": job}}
        if accept and await self.saved.collection.count_documents(query, limit=domain.MOST_ACCEPTED) >= domain.MOST_ACCEPTED:
            raise domain.too_many()
        return await self.saved.update(domain.id_of(owner, job), lambda offer, _: domain.answered(offer, accept, agents))
