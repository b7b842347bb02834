"""Jobs, each with its projection in the same document, so that what a renter decides and what he sees cannot disagree."""

from collections.abc import Sequence
from typing import Any

from contracts.events import Action, Event
from services.chassis.repository import Saved, SavedThenTold
from services.intake.domain import changing, projections
from services.intake.domain import jobs as domain
from services.intake.domain.jobs import Job


class Jobs:
    def __init__(self, saved: SavedThenTold[Job]) -> None:
        self.saved = saved

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index([("account", 1), ("submitted_at", -1)], name="account")

    async def submit(self, id: str, job: Job) -> bool:
        """False, and nothing told, when it was submitted before."""
        return await self.saved.add(id, job, domain.submitted(id, job))

    async def of(self, account: str, id: str) -> Saved[Job] | None:
        found = await self.saved.read(id)
        return found if found is not None and found.state.account == account else None

    async def newest(self, account: str, before: str | None, most: int) -> list[Saved[Job]]:
        """Of this account, newest first; `before` is the id of the last one seen."""
        query: dict[str, Any] = {"account": account}
        last = await self.of(account, before) if before else None
        if last is not None:
            query["submitted_at"] = {"$lt": last.state.submitted_at}
        cursor = self.saved.collection.find(query, {"pending": 0, "_writers": 0}).sort("submitted_at", -1).limit(most)
        return [self.saved.saved(document) async for document in cursor]

    async def answer(self, id: str, version: int, key: str, accept: bool) -> Job:
        say = domain.accepted if accept else domain.declined
        return await self.saved.update(id, lambda job, now: say(id, job, version, key, now))

    async def control(self, id: str, action: Action, by: str) -> Job:
        return await self.saved.update(id, lambda job, _: domain.controlled(id, job, action, by))

    async def replaced(self, id: str, by: str) -> None:
        await self.saved.update(id, lambda job, _: (changing.replaced(job, by), ()))

    async def fold(self, id: str, event: Event) -> None:
        """Raises Unknown for a job that was never submitted here."""

        def decide(job: Job, _: Any) -> tuple[Job, Sequence[Event]]:
            return projections.folded(job, event), ()

        await self.saved.update(id, decide)

    async def rendering(self, ids: Sequence[str]) -> dict[str, Saved[Job]]:
        return await self.saved.read_many(ids)
