"""Concurrent conditional writes travel together: one unordered bulk write in which a document appears once.

A bulk write does not say which of its operations matched. So each write leaves its group's random token among the document's
last eight writers, and after a short count the documents are read to see whose token is there: also when a later writer has been
since. The token makes a repetition harmless, too: what the driver repeats by itself costs the server a record for every single
document, so here a broken connection, or the word of a server that stops, is answered by sending the same again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from pymongo import UpdateMany, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, DocumentTooLarge, NetworkTimeout, ServerSelectionTimeoutError

from services.chassis.metrics import GROUP
from services.chassis.verdicts import LEAVING, codes

Statement = tuple[dict[str, Any], dict[str, Any]]
MOST = 500
REMEMBERED_WRITERS = 8
MAJORITY = {"w": "majority"}
"""A bare command knows nothing of the collection's own; acknowledged is what survives the loss of a member, with its journal."""


@dataclass(frozen=True)
class Write:
    """Set these fields and push these pending events if the document still has this version."""

    id: str
    version: int
    fields: Mapping[str, Any]
    pending: Sequence[Mapping[str, Any]] = ()


class GroupedWrites:
    """Of one collection."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._waiting: list[tuple[Write, asyncio.Future[bool]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def write(self, write: Write) -> bool:
        """True when this write won, False when the document had moved on. Raises what the driver raises."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def write_all(self, writes: Sequence[Write]) -> list[bool]:
        """One result per write, in order; at most one write per document."""
        if len({write.id for write in writes}) != len(writes):
            raise ValueError("a document may appear once in a grouped write")
        token = token_hex(8)
        GROUP.labels(self._collection.name).observe(len(writes))
        statements = [statement(alike, token) for alike in _alike(writes)]
        try:
            matched = await self._matched(statements)
        except (ServerSelectionTimeoutError, NetworkTimeout):  # it was looked for, or waited for, long enough
            raise
        except AutoReconnect:
            matched = await self._matched(statements)  # where the first time has come through nothing matches any more
        return [True] * len(writes) if matched == len(writes) else await self._who_won(writes, token)

    async def _matched(self, statements: Sequence[Statement]) -> int:
        """How many documents still had the version."""
        updates = [{"q": condition, "u": change, "multi": isinstance(condition["_id"], dict)} for condition, change in statements]
        try:
            reply = await self._collection.database.command(
                "update", self._collection.name, updates=updates, ordered=False, writeConcern=MAJORITY
            )
        except DocumentTooLarge:  # all of them in one message
            operations = [UpdateMany(condition, change) for condition, change in statements]
            return int((await self._collection.bulk_write(operations, ordered=False)).matched_count)
        if met := codes(reply):
            raise AutoReconnect("the server is leaving", reply) if met <= LEAVING else BulkWriteError(reply)
        return int(reply["n"])

    async def _who_won(self, writes: Sequence[Write], token: str) -> list[bool]:
        found = self._collection.find({"_id": {"$in": [write.id for write in writes]}}, {"_writers": 1})
        writers = {document["_id"]: document.get("_writers", ()) async for document in found}
        return [token in writers.get(write.id, ()) for write in writes]

    async def _flush(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                won = await self.write_all([write for write, _ in group])
            except BaseException as problem:
                _settle(group, problem)
                if not isinstance(problem, Exception):
                    raise
            else:
                for (_, future), one in zip(group, won, strict=True):
                    if not future.done():
                        future.set_result(one)

    def _next_group(self) -> list[tuple[Write, "asyncio.Future[bool]"]]:
        group: list[tuple[Write, asyncio.Future[bool]]] = []
        later: list[tuple[Write, asyncio.Future[bool]]] = []
        taken: set[str] = set()
        for write, future in self._waiting:
            fits = len(group) < MOST and write.id not in taken
            (group if fits else later).append((write, future))
            taken.add(write.id)
        self._waiting = later
        return group


def _settle(group: list[tuple[Write, "asyncio.Future[bool]"]], problem: BaseException) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(problem if isinstance(problem, Exception) else ConnectionError("writing was stopped"))


def _alike(writes: Sequence[Write]) -> list[Sequence[Write]]:
    """Writes that do the same to different documents, together: the server looks at one statement instead of many."""
    alike: dict[object, list[Write]] = {}
    for write in writes:
        what = (write.version, *write.fields.items())
        try:
            alike.setdefault(write.id if write.pending else what, []).append(write)
        except TypeError:  # lists and documents in it: hardly ever the same
            alike[write.id] = [write]
    return list(alike.values())


def statement(alike: Sequence[Write], token: str) -> Statement:
    """The condition, and what is changed: the same for all of them."""
    one = alike[0]
    push: dict[str, Any] = {"_writers": {"$each": [token], "$slice": -REMEMBERED_WRITERS}}
    if one.pending:
        push["pending"] = {"$each": list(one.pending)}
    change: dict[str, Any] = {"$inc": {"_version": 1}, "$push": push}
    if one.fields:
        change["$set"] = dict(one.fields)
    ids: Any = one.id if len(alike) == 1 else {"$in": [write.id for write in alike]}
    return {"_id": ids, "_version": one.version}, change


def operation(write: Write, token: str) -> UpdateOne:
    """The conditional write as the driver takes it, for a transaction of the caller's, where matching decides alone."""
    return UpdateOne(*statement([write], token))
