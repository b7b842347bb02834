"""Frames: what agents claimed, what was kept, what was refused."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from pymongo import ASCENDING, UpdateOne

from contracts.events import Event
from services.chassis.repository import Change, Saved, SavedThenTold
from services.chassis.service import Ground
from services.storage.domain import frame as framing
from services.storage.domain.frame import Claim, FrameRecord, FrameState, Refusal, Standing, claim_id, record_id
from services.storage.domain.joining import joined

REMEMBERED = timedelta(days=30)
_CLAIM = TypeAdapter(Claim)


class Claims:
    """The last claim of an attempt for a frame; needed until the frame is delivered. `told` are the hashes of all of them."""

    def __init__(self, database: Any) -> None:
        self._collection = database["claims"]

    async def ensure_indexes(self) -> None:
        await self._collection.create_index("at", expireAfterSeconds=int(REMEMBERED.total_seconds()), name="forgotten")

    async def remember(self, claims: Sequence[Claim], now: datetime) -> None:
        """One grouped write."""
        by_id = defaultdict[str, list[Claim]](list)
        for claim in claims:
            by_id[claim_id(claim.attempt, claim.frame)].append(claim)
        writes = [UpdateOne({"_id": id}, _remembered(theirs, now), upsert=True) for id, theirs in by_id.items()]
        if writes:
            await self._collection.bulk_write(writes, ordered=False)

    async def told(self, ids: Iterable[str]) -> defaultdict[str, set[str]]:
        """The hashes of the files that were told of each; none of what was never told."""
        found = self._collection.find({"_id": {"$in": sorted(set(ids))}}, {"told": 1})
        return defaultdict(set, {document["_id"]: set(document.get("told", ())) async for document in found})

    async def known(self, ids: Iterable[str]) -> dict[str, Claim]:
        found = self._collection.find({"_id": {"$in": sorted(set(ids))}})
        return {document["_id"]: _CLAIM.validate_python(_own(document)) async for document in found}


class Frames:
    """One record per job and frame."""

    def __init__(self, ground: Ground) -> None:
        self.saved: SavedThenTold[FrameRecord] = ground.repository("frames", FrameRecord, join=joined)

    async def ensure_indexes(self) -> None:
        keys = [("job", ASCENDING), ("state", ASCENDING), ("frame", ASCENDING)]
        await self.saved.collection.create_index(keys, name="of a job")

    async def known(self, ids: Iterable[str]) -> dict[str, Saved[FrameRecord]]:
        return await self.saved.read_many(sorted(set(ids)))

    async def arrive(self, record: FrameRecord) -> Standing:
        """Insert as `arrived`, or find out what stands there. The first insert wins."""
        while True:
            if await self.saved.add(record.id, record, ()):
                return Standing.FIRST
            before = await self.saved.read(record.id)
            if before is None:
                continue
            found = framing.standing(before.state, record.attempt, record.file_sha256, record.arrived_at)
            if found is not Standing.TAKES_OVER or (await self.saved.save([Change(before, record)]))[0]:
                return found

    async def save(self, changes: Sequence[Change[FrameRecord]]) -> list[bool]:
        return await self.saved.save(changes) if changes else []

    async def arrived(self, job: str, at_once: int = 500) -> list[Saved[FrameRecord]]:
        found = self.saved.collection.find({"job": job, "state": FrameState.ARRIVED}, {"_id": 1}).limit(at_once)
        known = await self.known([document["_id"] async for document in found])
        return [saved for saved in known.values() if saved.state.state is FrameState.ARRIVED]

    async def stored(self, job: str) -> list[int]:
        """Frame numbers, in order."""
        query = {"job": job, "state": FrameState.STORED}
        found = self.saved.collection.find(query, {"_id": 0, "frame": 1}).sort("frame", ASCENDING)
        return [document["frame"] async for document in found]

    async def stored_records(self, job: str, frames: Iterable[int]) -> dict[int, FrameRecord]:
        known = await self.known(record_id(job, frame) for frame in frames)
        records = [saved.state for saved in known.values()]
        return {record.frame: record for record in records if record.state is FrameState.STORED}

    async def rendered_after_acceptance(self, job: str) -> bool:
        query = {"job": job, "state": FrameState.STORED, "kind": "render"}
        return await self.saved.collection.find_one(query, {"_id": 1}) is not None

    async def forget(self, job: str) -> None:
        await self.saved.collection.delete_many({"job": job})


class Refusals:
    """What was delivered and not kept, told once."""

    def __init__(self, ground: Ground) -> None:
        self.saved: SavedThenTold[Refusal] = ground.repository("refusals", Refusal, join=joined)

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index("at", expireAfterSeconds=int(REMEMBERED.total_seconds()), name="forgotten")

    async def known(self, ids: Iterable[str]) -> set[str]:
        found = self.saved.collection.find({"_id": {"$in": sorted(set(ids))}}, {"_id": 1})
        return {document["_id"] async for document in found}

    async def add(self, id: str, refusal: Refusal, event: Event) -> None:
        await self.saved.add(id, refusal, (event,))


def _remembered(claims: Sequence[Claim], now: datetime) -> dict[str, Any]:
    """The last of them, and the hashes of all."""
    hashes = [claim.file_sha256 for claim in claims]
    return {"$set": {**asdict(claims[-1]), "at": now}, "$addToSet": {"told": {"$each": hashes}}}


def _own(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in ("_id", "at", "told")}
