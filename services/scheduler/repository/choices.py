"""What lenders who choose by hand were asked and said: one document per lender and job."""

from datetime import datetime

from services.chassis.repository import Decide, Saved, SavedThenTold
from services.scheduler.domain.choosing import Choice, Decided
from services.scheduler.domain.states import ChoiceState

_STANDING = sorted(set(ChoiceState) - {ChoiceState.OVER})


class Choices:
    def __init__(self, store: SavedThenTold[Choice]) -> None:
        self.store = store

    async def ensure_indexes(self) -> None:
        await self.store.collection.create_index([("state", 1), ("owner", 1)])
        await self.store.collection.create_index([("state", 1), ("ended_at", 1)])

    async def add(self, decided: Decided) -> bool:
        choice, events = decided
        return await self.store.add(choice.id, choice, events)

    async def update(self, id: str, decide: Decide[Choice]) -> Choice:
        """Raises Unknown."""
        return await self.store.update(id, decide)

    async def standing(self) -> list[Choice]:
        """Those that are not over."""
        return await self._found({"state": {"$in": _STANDING}})

    async def accepted(self, owner: str) -> list[Choice]:
        return await self._found({"state": ChoiceState.ACCEPTED, "owner": owner})

    async def forget(self, before: datetime) -> None:
        """Those that ended before, and have told so."""
        await self.store.collection.delete_many({"state": ChoiceState.OVER, "ended_at": {"$lt": before}, "pending": []})

    async def _found(self, query: dict[str, object]) -> list[Choice]:
        cursor = self.store.collection.find(query, {"pending": 0, "_writers": 0})
        found: list[Saved[Choice]] = [self.store.saved(document) async for document in cursor]
        return [saved.state for saved in found]
