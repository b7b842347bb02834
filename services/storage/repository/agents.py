"""Which agents are revoked. What is not known is not revoked: a good grant vouches for its agent."""

from collections.abc import Iterable
from typing import Any


class Agents:
    """One document per agent; no order of enrolment and revocation is assumed."""

    def __init__(self, database: Any) -> None:
        self._collection = database["agents"]

    async def enrolled(self, agent: str, owner: str, house: bool) -> None:
        known = {"owner": owner, "house": house}
        await self._collection.update_one({"_id": agent}, {"$set": known}, upsert=True)

    async def has_been_revoked(self, agent: str) -> None:
        await self._collection.update_one({"_id": agent}, {"$set": {"revoked": True}}, upsert=True)

    async def revoked_among(self, agents: Iterable[str]) -> set[str]:
        found = self._collection.find({"_id": {"$in": sorted(set(agents))}, "revoked": True}, {"_id": 1})
        return {document["_id"] async for document in found}
