"""The append-only story of every job, numbered per job without gaps.

Readers resume after a number, so an entry may never appear below one that was seen. Hence: the next entry takes the highest
number there is plus one under a unique index; number n + 1 can only be written by somebody who saw n.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.errors import BulkWriteError

from services.chassis.clock import DatabaseClock
from services.chassis.repository import Contended
from services.intake.domain.timeline import Entry

TRIES = 50
PAGE = 500


@dataclass(frozen=True)
class Line:
    """An entry as it was appended."""

    number: int
    at: datetime
    entry: Entry


class Timeline:
    def __init__(self, collection: Any, clock: DatabaseClock) -> None:
        self._collection, self._clock = collection, clock

    async def ensure_indexes(self) -> None:
        await self._collection.create_index([("job", 1), ("number", 1)], unique=True, name="job_number")

    async def append(self, entries: Sequence[Entry]) -> None:
        """Each entry once, however often it is appended. Raises Contended."""
        left = list({entry.identity: entry for entry in entries}.values())
        for _ in range(TRIES):
            left = await self._without_known(left)
            if not left:
                return
            await self._inserted(left)
        raise Contended("timeline")

    async def after(self, job: str, number: int) -> list[Line]:
        """The next entries, at most a page."""
        cursor = self._collection.find({"job": job, "number": {"$gt": number}}).sort("number", 1).limit(PAGE)
        return [_line(document) async for document in cursor]

    async def _without_known(self, entries: Sequence[Entry]) -> list[Entry]:
        cursor = self._collection.find({"_id": {"$in": [entry.identity for entry in entries]}}, {"_id": 1})
        known = {document["_id"] async for document in cursor}
        return [entry for entry in entries if entry.identity not in known]

    async def _inserted(self, entries: Sequence[Entry]) -> None:
        """As many as go in order before another writer is met; the rest is for the next try."""
        last = await self._last({entry.job for entry in entries})
        at, documents = await self._clock.now(), []
        for entry in entries:
            last[entry.job] = last.get(entry.job, 0) + 1
            documents.append(_document(entry, last[entry.job], at))
        try:
            await self._collection.insert_many(documents, ordered=True)
        except BulkWriteError as met:
            if any(error["code"] != 11_000 for error in met.details["writeErrors"]):
                raise

    async def _last(self, jobs: set[str]) -> dict[str, int]:
        """One look at the end of each job's part of the index: a job of many frames has very many entries before that."""

        async def last(job: str) -> list[dict[str, Any]]:
            newest = self._collection.find({"job": job}, {"_id": 0, "job": 1, "number": 1}).sort("number", -1).limit(1)
            return list(await newest.to_list(1))

        return {one["job"]: one["number"] for found in await asyncio.gather(*map(last, jobs)) for one in found}


def _document(entry: Entry, number: int, at: datetime) -> dict[str, Any]:
    told = {"kind": entry.kind, "text": entry.text, "data": dict(entry.data)}
    return {"_id": entry.identity, "job": entry.job, "number": number, "at": at, **told}


def _line(document: dict[str, Any]) -> Line:
    entry = Entry(document["_id"], document["job"], document["kind"], document["text"], document["data"])
    return Line(document["number"], document["at"], entry)
