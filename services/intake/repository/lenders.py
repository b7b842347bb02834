"""What a lender sees: machines, and what they have earned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from contracts.events import AgentCharge
from services.chassis.doorkeeper import SHUT
from services.chassis.repository import Saved, SavedThenTold
from services.intake.domain.agents import Agent

FINAL = 1 << 53
"""Revision of a settled job's sums: above any that counts."""


class Agents:
    def __init__(self, saved: SavedThenTold[Agent]) -> None:
        self.saved = saved

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index("owner", name="owner")

    async def shut_out(self) -> list[str]:
        """All of whom nothing counts any more."""
        cursor = self.saved.collection.find({"state": {"$in": sorted(SHUT)}}, {"_id": 1})
        return [document["_id"] async for document in cursor]

    async def owned_by(self, owner: str | None) -> list[Saved[Agent]]:
        """None: everybody's, for the operator."""
        cursor = self.saved.collection.find({"owner": owner} if owner else {}, {"pending": 0, "_writers": 0}).sort("_id", 1)
        return [self.saved.saved(document) async for document in cursor.limit(2_000)]


@dataclass(frozen=True)
class Earned:
    """By one agent on one job, absolute."""

    job: str
    agent: str
    owner: str
    frames: int
    micro_wu: int
    earned_micro: int
    final: bool


class Earnings:
    """Absolute sums by the job's charge revision; a settled job's are final."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    async def ensure_indexes(self) -> None:
        await self._collection.create_index([("owner", 1), ("at", -1)], name="owner_at")
        await self._collection.create_index("job", name="job")

    async def put(self, job: str, revision: int, charges: Sequence[AgentCharge]) -> None:
        if not charges:
            return
        try:
            await self._collection.bulk_write([_newer(job, revision, charge) for charge in charges], ordered=False)
        except BulkWriteError as met:
            if any(error["code"] != 11_000 for error in met.details["writeErrors"]):
                raise  # a duplicate key means that a newer sum is there

    async def of_owner(self, owner: str, most: int) -> list[Earned]:
        """Those that changed last, newest first."""
        return [_earned(one) async for one in self._collection.find({"owner": owner}).sort("at", -1).limit(most)]

    async def per_agent(self, owner: str) -> list[dict[str, Any]]:
        """Sums over all jobs: `_id` agent, frames, micro_wu, earned_micro, jobs."""
        sums = {name: {"$sum": f"${name}"} for name in ("frames", "micro_wu", "earned_micro")}
        group = {"_id": "$agent", **sums, "jobs": {"$sum": 1}}
        pipeline = [{"$match": {"owner": owner}}, {"$group": group}, {"$sort": {"_id": 1}}]
        return [one async for one in self._collection.aggregate(pipeline)]

    async def of_job(self, job: str, most: int = 200) -> list[Earned]:
        return [_earned(one) async for one in self._collection.find({"job": job}).sort("_id", 1).limit(most)]


def _newer(job: str, revision: int, charge: AgentCharge) -> UpdateOne:
    fields = {"job": job, "revision": revision, **charge.model_dump()}
    known = {"_id": f"{job}:{charge.agent}", "revision": {"$lt": revision}}
    return UpdateOne(known, {"$set": fields, "$currentDate": {"at": True}}, upsert=True)


def _earned(one: dict[str, Any]) -> Earned:
    sums = (one["frames"], one["micro_wu"], one["earned_micro"])
    return Earned(one["job"], one["agent"], one["owner"], *sums, one["revision"] == FINAL)
