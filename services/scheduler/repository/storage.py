"""What the scheduler's processes have heard of storage: one document, in which they agree (domain.verification says on what)."""

from services.chassis.repository import SavedThenTold
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.verification import Storage, agreed

THE_STORAGE = "storage"


class Storages:
    def __init__(self, store: SavedThenTold[Storage]) -> None:
        self.store = store

    async def agree(self, heard: Storage, policy: Policy) -> Storage:
        """With what this process has heard. Nothing is written by one that has heard nothing new."""
        return await self.store.update_or_add(THE_STORAGE, lambda known, _: (agreed(known or Storage(), heard, policy), []))
