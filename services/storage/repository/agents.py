"""Which agents are revoked or in quarantine. What is not known is neither: a good grant vouches for its agent."""

from collections.abc import Iterable
from typing import Any

from pymongo.errors import DuplicateKeyError

QUARANTINED, REVOKED = "quarantined", "revoked"


class Agents:
    """One document per agent; no order of enrolment and revocation is assumed."""

    def __init__(self, database: Any) -> None:
        self._collection = database["agents"]

    async def enrolled(self, agent: str, owner: str, house: bool) -> None:
        known = {"owner": owner, "house": house}
        await self._collection.update_one({"_id": agent}, {"$set": known}, upsert=True)

    async def has_been_revoked(self, agent: str) -> None:
        await self._collection.update_one({"_id": agent}, {"$set": {"revoked": True}}, upsert=True)

    async def changed(self, agent: str, state: str, revision: int) -> str:
        """The state that counts now: an older revision changes nothing, and revoked is revoked."""
        older = {"$or": [{"revision": {"$exists": False}}, {"revision": {"$lt": revision}}]}
        try:
            told = {"$set": {"state": state, "revision": revision}}
            await self._collection.update_one({"_id": agent, **older}, told, upsert=True)
        except DuplicateKeyError:
            """A newer one is there."""
        document = await self._collection.find_one({"_id": agent}) or {}
        return REVOKED if document.get("revoked") else str(document.get("state", state))

    async def shut_out(self) -> list[str]:
        """All of whom nothing counts any more."""
        return [document["_id"] async for document in self._collection.find(_SHUT_OUT, {"_id": 1})]

    async def revoked_among(self, agents: Iterable[str]) -> set[str]:
        """Also those in quarantine."""
        found = self._collection.find({"_id": {"$in": sorted(set(agents))}, **_SHUT_OUT}, {"_id": 1})
        return {document["_id"] async for document in found}


_SHUT_OUT: dict[str, Any] = {"$or": [{"revoked": True}, {"state": QUARANTINED}]}
