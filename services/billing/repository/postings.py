"""The ledger's documents: one per posting, inserted and never changed.

`due` is no fact but a to-do mark: when an earning becomes payable. It is taken away in the transaction that posts it as payable.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, UpdateMany

from services.billing.domain.charging import ON_FRAMES, Standing, standing
from services.billing.domain.ledger import Leg, Posting, PostingKind, matured
from services.chassis.service import Ground

_ABOUT_FRAMES = [kind.value for kind in (*ON_FRAMES, PostingKind.REVERSE)]
_FACTS = ("job", "frame", "generation", "attempt", "agent", "owner", "version", "reverses")
MATURED_AT_ONCE = 500


class Postings:
    def __init__(self, ground: Ground, audit_window: timedelta) -> None:
        self.collection: Any = ground.database["postings"]
        self._audit_window = audit_window

    async def ensure_indexes(self) -> None:
        await self.collection.create_index(
            [("job", ASCENDING), ("frame", ASCENDING)], partialFilterExpression={"frame": {"$exists": True}}, name="frames"
        )
        await self.collection.create_index([("due", ASCENDING)], partialFilterExpression={"due": {"$exists": True}}, name="due")
        await self.collection.create_index(
            [("job", ASCENDING), ("kind", ASCENDING)], partialFilterExpression={"job": {"$exists": True}}, name="job"
        )

    async def has(self, key: str) -> bool:
        return bool(await self.collection.count_documents({"_id": key}, limit=1))

    async def missing(self, keys: Iterable[str]) -> set[str]:
        wanted = set(keys)
        found = await self.collection.find({"_id": {"$in": list(wanted)}}, {"_id": 1}).to_list(None)
        return wanted - {document["_id"] for document in found}

    async def standing(self, frames: Mapping[str, Iterable[int]]) -> dict[str, dict[int, Standing]]:
        """Job → frame → its unreversed posting, for these frames of these jobs."""
        asked = [{"job": job, "frame": {"$in": list(set(numbers))}} for job, numbers in frames.items()]
        if not asked:
            return {}
        found = await self.collection.find({"$or": asked, "kind": {"$in": _ABOUT_FRAMES}}).to_list(None)
        due = {document["_id"] for document in found if "due" in document}
        return {job: standing((read(document) for document in found if document["job"] == job), due) for job in frames}

    async def charged_frames(self, job: str) -> set[int]:
        """Frames of this job with an unreversed posting."""
        query = {"job": job, "frame": {"$exists": True}, "kind": {"$in": _ABOUT_FRAMES}}
        found = await self.collection.find(query, {"frame": 1, "kind": 1, "reverses": 1}).to_list(None)
        undone = {document.get("reverses") for document in found}
        return {d["frame"] for d in found if d["kind"] != PostingKind.REVERSE.value and d["_id"] not in undone}

    async def due(self, now: datetime) -> list[Posting]:
        """Earnings whose audit window has closed."""
        found = await self.collection.find({"due": {"$lte": now}}).sort("due", ASCENDING).limit(MATURED_AT_ONCE).to_list(None)
        return [read(document) for document in found]

    def documents(self, postings: Sequence[Posting], now: datetime) -> list[dict[str, Any]]:
        return [self._document(posting, now) for posting in postings]

    def undue(self, postings: Sequence[Posting]) -> list[UpdateMany]:
        """Charges among these that are undone or payable now have nothing to wait for any more."""
        over = [posting.reverses for posting in postings if posting.reverses is not None]
        over += [posting.key.removeprefix("payable:") for posting in postings if posting.kind is PostingKind.PAYABLE]
        return [UpdateMany({"_id": {"$in": over}}, {"$unset": {"due": ""}})] if over else []

    def _document(self, posting: Posting, now: datetime) -> dict[str, Any]:
        facts = {name: value for name in _FACTS if (value := getattr(posting, name)) is not None}
        document = {
            "_id": posting.key,
            "at": now,
            "kind": posting.kind.value,
            "legs": [{"account": leg.account, "amount": leg.amount_micro} for leg in posting.legs],
            "micro_wu": posting.micro_wu,
            **facts,
        }
        if posting.kind in (PostingKind.CHARGE, PostingKind.SAMPLING, PostingKind.DUPLICATE) and posting.legs:
            document["due"] = now + self._audit_window
        return document


def read(document: Mapping[str, Any]) -> Posting:
    facts = {name: document.get(name) for name in _FACTS}
    legs = tuple(Leg(leg["account"], leg["amount"]) for leg in document["legs"])
    return Posting(document["_id"], PostingKind(document["kind"]), legs, micro_wu=document["micro_wu"], **facts)


def payables(charges: Iterable[Posting]) -> list[Posting]:
    return [matured(charge) for charge in charges]
