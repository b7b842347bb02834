"""Longer work: documents taken under a lease, so that a worker that dies holds nothing up for long."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.chassis import traces
from services.chassis.bell import Bell
from services.chassis.clock import DatabaseClock
from services.chassis.indexes import drop_former
from services.storage.domain.task import LEASE, Task, TaskKind, delay

FORMER = "waiting"
_TASK = TypeAdapter(Task)


class Tasks:
    def __init__(self, database: Any, clock: DatabaseClock) -> None:
        self._collection, self._clock = database["tasks"], clock
        self.bell = Bell()

    async def ensure_indexes(self) -> None:
        """One lane never looks through the tasks of another."""
        keys = [("given_up", ASCENDING), ("kind", ASCENDING), ("not_before", ASCENDING)]
        await self._collection.create_index(keys, name="waiting of a kind")
        await drop_former(self._collection, [FORMER])

    async def add(self, task: Task) -> None:
        """Repeats change nothing while it waits or runs; one that was given up is tried again. It belongs to the trace of whoever
        adds it."""
        now = await self._clock.now()
        document = {**_TASK.dump_python(task), "_id": task.id, "not_before": now, "trace": traces.carried()}
        try:
            await self._collection.insert_one(document)
        except DuplicateKeyError:
            anew = {"given_up": False, "tries": 0, "not_before": now}
            if not (await self._collection.update_one({"_id": task.id, "given_up": True}, {"$set": anew})).modified_count:
                return
        self.bell.ring()

    async def take(self, holder: str, kinds: Sequence[TaskKind]) -> Task | None:
        """One of these kinds that is due and that nobody holds, under a lease from now."""
        now = await self._clock.now()
        free = {"$or": [{"leased_until": None}, {"leased_until": {"$lt": now}}]}
        document = await self._collection.find_one_and_update(
            {"given_up": False, "kind": {"$in": list(kinds)}, "not_before": {"$lte": now}, **free},
            {"$set": {"holder": holder, "leased_until": now + LEASE}},
            sort=[("not_before", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return _decoded(document) if document else None

    async def renew(self, task: Task) -> bool:
        """False when the lease was lost."""
        until = await self._clock.now() + LEASE
        found = await self._collection.update_one(_held(task), {"$set": {"leased_until": until}})
        return bool(found.matched_count)

    async def done(self, task: Task) -> None:
        await self._collection.delete_one(_held(task))

    async def again(self, task: Task, problem: str, counted: bool, given_up: bool = False) -> None:
        """Give it back for a later try, or for good."""
        now, tries = await self._clock.now(), task.tries + counted
        later = {"leased_until": None, "holder": "", "tries": tries, "problem": problem[:500], "given_up": given_up}
        await self._collection.update_one(_held(task), {"$set": {**later, "not_before": now + delay(task.kind, tries)}})

    async def subjects(self, kind: TaskKind) -> list[str]:
        """Of those that wait or run."""
        found = self._collection.find({"given_up": False, "kind": kind}, {"subject": 1})
        return [document["subject"] async for document in found]


def _held(task: Task) -> dict[str, Any]:
    return {"_id": task.id, "holder": task.holder}


def _decoded(document: dict[str, Any]) -> Task:
    return _TASK.validate_python({key: value for key, value in document.items() if not key.startswith("_")})
