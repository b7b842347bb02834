"""Events saved with the state that caused them, announced afterwards, then cleared; a sweep announces what a crash left.

`pending` changes only by push and pull. Trace context is saved with the event. No URL or secret is ever saved: what needs one is
finished when announcing (`finish`). What the sweep finds may be long over, so there the state is looked at again first; what is
told at once stands on a conditional write that has just been won. What no message can hold is set aside in `<collection>.unsaid`:
trying it again is of no use, and somebody has to look at it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from pymongo import ASCENDING
from pymongo.errors import PyMongoError

from contracts.bus import Announcement, Announcer, NotAnnounced, TooLarge, new_id, read
from contracts.events import Event
from services.chassis.metrics import ANNOUNCED, UNSAYABLE

log = structlog.get_logger()
Finish = Callable[[Event, bool], Awaitable[Event | None]]
"""The event as it may be told, or None when it no longer holds. True: saved a moment ago; False: left by a crash."""
Join = Callable[[Sequence[Event]], Sequence[tuple[Event, Sequence[int]]]]
"""Fewer events that say the same as these, each with the positions of those it stands for."""
LEFTOVERS_AT_ONCE = 500
AT_ONCE, BY_SWEEP = "at once", "by sweep"
UNSAID = "unsaid"


class Told(NamedTuple):
    """What is saved in this document and to be told; `event` where it need not be read again."""

    document: str
    saved: Mapping[str, Any]
    event: Event | None = None


Ready = tuple[Announcement, Sequence[Told]]
"""What goes out, and the entries it stands for."""


def entry(event: Event, at: datetime, trace: Mapping[str, str]) -> dict[str, Any]:
    """The event as it is saved."""
    body = event.model_dump_json(exclude_none=True)
    return {"id": new_id(), "at": at, "key": event.key(), "body": body, "trace": dict(trace)}


def tellings(document: str, entries: Sequence[Mapping[str, Any]], events: Sequence[Event]) -> list[Told]:
    return [Told(document, saved, event) for saved, event in zip(entries, events, strict=True)]


class Pending:
    """The outbox inside the documents of one collection."""

    def __init__(
        self, service: str, collection: Any, announcer: Announcer, finish: Finish | None = None, join: Join | None = None
    ) -> None:
        self._service, self._collection, self._announcer = service, collection, announcer
        self._finish, self._join = finish, join
        self._told: list[tuple[str, str]] = []
        self._unsaid: list[Told] = []
        self._clearing: asyncio.Task[None] | None = None
        self._unsayable = UNSAYABLE.labels(service, collection.name)

    async def ensure_indexes(self) -> None:
        await self._collection.create_index(
            [("pending.at", ASCENDING)], partialFilterExpression={"pending.0": {"$exists": True}}, name="pending"
        )

    async def tell(self, told: Sequence[Told], how: str = AT_ONCE) -> None:
        """Announce these entries together; what fails stays for the sweep. Never raises for an absent broker."""
        if not told:
            return
        events = [one.event or read(one.saved["key"], one.saved["body"].encode()) for one in told]
        joined = self._join(events) if self._join else [(event, (at,)) for at, event in enumerate(events)]
        finished = await asyncio.gather(*(self._finished(event, [told[at] for at in places], how) for event, places in joined))
        ready = [one for one in finished if one is not None]
        outcomes = await self._announcer.announce_all([announcement for announcement, _ in ready])
        for (_, entries), away in zip(ready, outcomes, strict=True):
            self._done(entries, how, away)

    async def announce_leftovers(self, before: datetime) -> int:
        """Announce what was saved before this time and is still there; returns how many."""
        query = {"pending.0": {"$exists": True}, "pending.at": {"$lt": before}}
        found = await self._collection.find(query, {"pending": 1}).limit(LEFTOVERS_AT_ONCE).to_list(None)
        left = [Told(document["_id"], saved) for document in found for saved in document["pending"] if saved["at"] < before]
        await self.tell(left, BY_SWEEP)
        return len(left)

    async def _finished(self, said: Event, told: Sequence[Told], how: str) -> Ready | None:
        """One event for one or more entries; it goes out under the first one's id."""
        saved = told[0].saved
        try:
            event = said if self._finish is None else await self._finish(said, how == AT_ONCE)
        except (NotAnnounced, PyMongoError) as away:
            self._done(told, how, away)
            return None
        if event is None:
            self._done(told, "dropped", None)
            return None
        return Announcement(event, id=saved["id"], trace=saved["trace"]), told

    def _done(self, told: Sequence[Told], how: str, away: Exception | None) -> None:
        key = told[0].saved["key"]
        ANNOUNCED.labels(self._service, key, "failed" if away else how).inc()
        if isinstance(away, TooLarge):
            self._unsayable.inc(len(told))
            log.error("set aside", event_key=key, documents=[one.document for one in told], problem=str(away)[:200])
            self._unsaid += told
        elif away:
            log.warning("left for the sweep", event_key=key, document=told[0].document, problem=repr(away)[:200])
            return
        else:
            self._told += [(one.document, one.saved["id"]) for one in told]
        if self._clearing is None or self._clearing.done():
            self._clearing = asyncio.create_task(self._clear_told())

    async def _clear_told(self) -> None:
        """Not waited for by anybody: an entry that stays is announced again under the same message id, which is harmless."""
        while self._told or self._unsaid:
            unsaid, self._unsaid = self._unsaid, []
            told, self._told = self._told[:LEFTOVERS_AT_ONCE], self._told[LEFTOVERS_AT_ONCE:]
            try:
                await self._set_aside(unsaid)
                told += [(one.document, one.saved["id"]) for one in unsaid]
                documents, ids = list({document for document, _ in told}), [saved for _, saved in told]
                await self._collection.update_many({"_id": {"$in": documents}}, {"$pull": {"pending": {"id": {"$in": ids}}}})
            except PyMongoError as away:
                log.warning("could not clear", problem=repr(away)[:200])
                return

    async def _set_aside(self, unsaid: Sequence[Told]) -> None:
        """Under the entry's own id: whoever does it twice makes one of it."""
        for one in unsaid:
            kept = {"document": one.document, **one.saved}
            await self._collection[UNSAID].replace_one({"_id": one.saved["id"]}, kept, upsert=True)

    async def settled(self) -> None:
        """Wait until what was announced is cleared (for shutdown and tests)."""
        while self._clearing is not None and not self._clearing.done():
            await asyncio.wait([self._clearing])
