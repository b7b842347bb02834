"""Events saved with the state that caused them, announced afterwards, then cleared; a sweep announces what a crash left.

`pending` changes only by push and pull. Trace context is saved with the event. No URL or secret is ever saved: what needs one is
finished when announcing (`finish`), after the state is checked again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from pymongo import ASCENDING, UpdateOne
from pymongo.errors import PyMongoError

from contracts.bus import Announcement, Announcer, NotAnnounced, new_id, read
from contracts.events import Event
from services.chassis.metrics import ANNOUNCED

log = structlog.get_logger()
Finish = Callable[[Event], Awaitable[Event | None]]
Join = Callable[[Sequence[Event]], Sequence[tuple[Event, Sequence[int]]]]
"""Fewer events that say the same as these, each with the positions of those it stands for."""
Told = tuple[str, Mapping[str, Any]]
"""(document id, entry)."""
LEFTOVERS_AT_ONCE = 500


def entry(event: Event, at: datetime, trace: Mapping[str, str]) -> dict[str, Any]:
    """The event as it is saved."""
    body = event.model_dump_json(exclude_none=True)
    return {"id": new_id(), "at": at, "key": event.key(), "body": body, "trace": dict(trace)}


class Pending:
    """The outbox inside the documents of one collection."""

    def __init__(
        self, service: str, collection: Any, announcer: Announcer, finish: Finish | None = None, join: Join | None = None
    ) -> None:
        self._service, self._collection, self._announcer = service, collection, announcer
        self._finish, self._join = finish, join
        self._told: list[tuple[str, str]] = []
        self._clearing: asyncio.Task[None] | None = None

    async def ensure_indexes(self) -> None:
        await self._collection.create_index(
            [("pending.at", ASCENDING)], partialFilterExpression={"pending.0": {"$exists": True}}, name="pending"
        )

    async def tell(self, told: Sequence[Told], how: str = "at once") -> None:
        """Announce these entries together; what fails stays for the sweep. Never raises for an absent broker."""
        events = [read(saved["key"], saved["body"].encode()) for _, saved in told]
        joined = self._join(events) if self._join else [(event, (at,)) for at, event in enumerate(events)]
        await asyncio.gather(*(self._one(event, [told[at] for at in places], how) for event, places in joined))

    async def announce_leftovers(self, before: datetime) -> int:
        """Announce what was saved before this time and is still there; returns how many."""
        query = {"pending.0": {"$exists": True}, "pending.at": {"$lt": before}}
        found = await self._collection.find(query, {"pending": 1}).limit(LEFTOVERS_AT_ONCE).to_list(None)
        left = [(document["_id"], saved) for document in found for saved in document["pending"] if saved["at"] < before]
        await self.tell(left, "by sweep")
        return len(left)

    async def _one(self, said: Event, told: Sequence[Told], how: str) -> None:
        """One event for one or more entries; it goes out under the first one's id."""
        event: Event | None = said
        document, saved = told[0]
        try:
            if self._finish is not None:
                event = await self._finish(said)
            if event is not None:
                await self._announcer.announce(Announcement(event, id=saved["id"], trace=saved["trace"]))
        except (NotAnnounced, PyMongoError) as away:
            ANNOUNCED.labels(self._service, saved["key"], "failed").inc()
            log.warning("left for the sweep", event_key=saved["key"], document=document, problem=repr(away)[:200])
            return
        ANNOUNCED.labels(self._service, saved["key"], how if event is not None else "dropped").inc()
        for where, one in told:
            self._clear(where, one["id"])

    def _clear(self, document: str, told: str) -> None:
        self._told.append((document, told))
        if self._clearing is None or self._clearing.done():
            self._clearing = asyncio.create_task(self._clear_told())

    async def _clear_told(self) -> None:
        """Not waited for by anybody: an entry that stays is announced again under the same message id, which is harmless."""
        while self._told:
            told, self._told = self._told[:LEFTOVERS_AT_ONCE], self._told[LEFTOVERS_AT_ONCE:]
            by_document: dict[str, list[str]] = {}
            for document, saved in told:
                by_document.setdefault(document, []).append(saved)
            pulls = [UpdateOne({"_id": key}, {"$pull": {"pending": {"id": {"$in": ids}}}}) for key, ids in by_document.items()]
            try:
                await self._collection.bulk_write(pulls, ordered=False)
            except PyMongoError as away:
                log.warning("could not clear", problem=repr(away)[:200])
                return

    async def settled(self) -> None:
        """Wait until what was announced is cleared (for shutdown and tests)."""
        while self._clearing is not None and not self._clearing.done():
            await asyncio.wait([self._clearing])
