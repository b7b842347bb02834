"""Saved, then told: state and the events it causes go into one atomic write of one document, and are announced after it.

A service's repository is its own concrete class over one of these. A decision is a pure function
`(state, now) → (state, events)`; it may be called several times, once per lost race, and must not care.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from contracts.bus import Announcer
from contracts.events import Event
from services.chassis import traces
from services.chassis.clock import DatabaseClock
from services.chassis.documents import Documents
from services.chassis.grouping import GroupedWrites, Write, operation
from services.chassis.memory import Memory, Saved
from services.chassis.metrics import SAVES
from services.chassis.pending import Finish, Join, Pending, Told, entry, tellings

S = TypeVar("S")
Decision = tuple[S, Sequence[Event]]
Decide = Callable[[S, datetime], Decision[S]]
DecideFromNothing = Callable[[S | None, datetime], Decision[S]]
TRIES = 50
ALREADY_THERE = 11000


class Unknown(Exception):
    """No document has this id."""


class Contended(ConnectionError):
    """Other writers won every time; the world's fault, try again later."""


@dataclass(frozen=True)
class Change(Generic[S]):
    """A decision made on `before`; `trace` is the context of what caused it."""

    before: Saved[S]
    state: S
    events: Sequence[Event] = ()
    trace: Mapping[str, str] = field(default_factory=traces.carried)


@dataclass(frozen=True)
class Prepared:
    """Changes for a transaction of the caller's: every operation must match or it must be aborted. After the commit
    `pending.tell(told)`; what a crash leaves untold the sweep tells."""

    operations: Sequence[UpdateOne]
    told: Sequence[Told]


@dataclass(frozen=True)
class New(Generic[S]):
    """A document to be, whose id follows from what it is; `trace` is the context of what caused it."""

    id: str
    state: S
    events: Sequence[Event] = ()
    trace: Mapping[str, str] = field(default_factory=traces.carried)


class SavedThenTold(Generic[S]):
    """Documents of one collection, each the state of one thing. `remembers`: of how many the last state is kept in memory, for
    `recall_many` and `current`."""

    def __init__(
        self,
        service: str,
        collection: Any,
        state_type: type[S],
        announcer: Announcer,
        clock: DatabaseClock,
        finish: Finish | None = None,
        join: Join | None = None,
        remembers: int = 0,
    ) -> None:
        self.collection = collection
        self._service, self._clock = service, clock
        self._documents = Documents(state_type)
        self._memory = Memory[S](remembers)
        self._writes = GroupedWrites(collection)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Within one process the writers of one document take turns; only other processes can win a race against them."""
        self.pending = Pending(service, collection, announcer, finish, join)

    def decode(self, document: Mapping[str, Any]) -> S:
        return self._documents.decode(document)

    async def now(self) -> datetime:
        return await self._clock.now()

    async def get(self, id: str) -> S | None:
        saved = await self.read(id)
        return saved.state if saved else None

    async def read(self, id: str) -> Saved[S] | None:
        found = await self.read_many([id])
        return found.get(id)

    async def read_many(self, ids: Iterable[str]) -> dict[str, Saved[S]]:
        cursor = self.collection.find({"_id": {"$in": list(set(ids))}}, {"pending": 0, "_writers": 0})
        return {document["_id"]: self.saved(document) async for document in cursor}

    def saved(self, document: Mapping[str, Any]) -> Saved[S]:
        """A document found by a query of the repository's own."""
        found = Saved(document["_id"], document["_version"], self.decode(document))
        self._memory.note(found)
        return found

    async def recall_many(self, ids: Iterable[str]) -> dict[str, Saved[S]]:
        """As `read_many`, from memory where this process has been. To decide and to write on, not to refuse on."""
        wanted = set(ids)
        known = self._memory.recall(wanted)
        return known | await self.read_many(wanted - known.keys()) if wanted - known.keys() else known

    def forget(self, ids: Iterable[str]) -> None:
        """These are not asked for soon: what is not remembered need not be kept, nor looked through by the collector."""
        for id in ids:
            self._memory.forget(id)

    async def current(self, query: Mapping[str, Any]) -> list[Saved[S]]:
        """All that match, as they are now; of those remembered only the versions are read."""
        cursor = self.collection.find(query, {"_version": 1})
        versions = {document["_id"]: document["_version"] async for document in cursor}
        same = self._memory.recall(id for id, version in versions.items() if self._memory.has(id, version))
        found = same | await self.read_many(versions.keys() - same.keys()) if len(same) < len(versions) else same
        return list(found.values())

    async def add(self, id: str, state: S, events: Sequence[Event] = ()) -> bool:
        """Insert and tell. False, and nothing told, when there is one already."""
        now = await self._clock.now()
        entries = [entry(event, now, traces.carried()) for event in events]
        try:
            await self.collection.insert_one(self._documents.encode(id, state, entries))
        except DuplicateKeyError:
            return False
        self._memory.note(Saved(id, 1, state))
        await self.pending.tell(tellings(id, entries, events))
        return True

    async def add_many(self, new: Sequence[New[S]]) -> list[bool]:
        """As `add`, in one write; says for each whether it was new."""
        added, told = await self.insert(new)
        await self.pending.tell(told)
        return added

    async def insert(self, new: Sequence[New[S]]) -> tuple[list[bool], list[Told]]:
        """As `add_many`; what is to be told comes back, for `pending.tell` once the caller holds nobody up. Until then it is
        the sweep's."""
        if not new:
            return [], []
        now = await self._clock.now()
        entries = [[entry(event, now, one.trace) for event in one.events] for one in new]
        documents = [self._documents.encode(one.id, one.state, mine) for one, mine in zip(new, entries, strict=True)]
        there = await self._insert(documents)
        added = [(one, mine) for at, (one, mine) in enumerate(zip(new, entries, strict=True)) if at not in there]
        for one, _ in added:
            self._memory.note(Saved(one.id, 1, one.state))
        says = [at not in there for at in range(len(new))]
        return says, [each for one, mine in added for each in tellings(one.id, mine, one.events)]

    async def _insert(self, documents: Sequence[Mapping[str, Any]]) -> set[int]:
        """Places of those that were there already."""
        try:
            await self.collection.insert_many(documents, ordered=False)
        except BulkWriteError as partly:
            there = only_there_already(partly.details or {})
            if there is None:
                raise
            return there
        return set()

    async def update(self, id: str, decide: Decide[S]) -> S:
        """Decide on the present state, save, tell; returns the new state. Raises Unknown, Contended, and what `decide` raises."""
        state, told = await self.decide(id, decide)
        await self.pending.tell(told)
        return state

    async def update_or_add(self, id: str, decide: DecideFromNothing[S]) -> S:
        """As `update`; `decide` gets None where there is no document yet."""
        state, told = await self._decided(id, decide)
        await self.pending.tell(told)
        return state

    async def decide(self, id: str, decide: Decide[S]) -> tuple[S, list[Told]]:
        """As `update`, with the telling left to the caller as by `insert`: for him who has something more urgent to do."""

        def decide_known(state: S | None, now: datetime) -> Decision[S]:
            if state is None:
                raise Unknown(id)
            return decide(state, now)

        return await self._decided(id, decide_known)

    async def _decided(self, id: str, decide: DecideFromNothing[S]) -> tuple[S, list[Told]]:
        lock = self._turns.setdefault(id, asyncio.Lock())
        async with lock:
            for attempt in range(TRIES):
                decided = await self._try(id, decide)
                if decided is not None:
                    return decided
                await asyncio.sleep(random.uniform(0, 0.002 * min(attempt + 1, 10)))  # noqa: S311  # spreading, not secrecy
        raise Contended(f"{self.collection.name} {id}")

    async def _try(self, id: str, decide: DecideFromNothing[S]) -> tuple[S, list[Told]] | None:
        """One reading, decision and conditional write; None when another process was faster."""
        before, now = await self.read(id), await self._clock.now()
        state, events = decide(before.state if before else None, now)
        if before is None:
            [won], told = await self.insert([New(id, state, events)])
        elif state == before.state and not events:
            return state, []
        else:
            won, told = await self._write(before, state, [entry(event, now, traces.carried()) for event in events], events)
        return (state, told) if won else None

    async def save(self, changes: Sequence[Change[S]]) -> list[bool]:
        """One grouped write for a batch of decisions, at most one per document; tells those that won, says which did."""
        won, told = await self.write(changes)
        await self.pending.tell(told)
        return won

    async def write(self, changes: Sequence[Change[S]]) -> tuple[list[bool], list[Told]]:
        """As `save`, with the telling left to the caller as by `insert`."""
        pairs = await self._with_entries(changes)
        won = await self._writes.write_all([self._conditional(c, entries) for c, entries in pairs]) if pairs else []
        self._count(won)
        for change, mine in zip(changes, won, strict=True):
            self._remember(change.before, change.state if mine else None)
        saved = [pair for pair, mine in zip(pairs, won, strict=True) if mine]
        return won, [each for c, entries in saved for each in tellings(c.before.id, entries, c.events)]

    async def prepare(self, changes: Sequence[Change[S]]) -> Prepared:
        """As `save`, for changes that must happen together with writes elsewhere in the database."""
        pairs = await self._with_entries(changes)
        after = [each for c, entries in pairs for each in tellings(c.before.id, entries, c.events)]
        for change in changes:
            self._memory.forget(change.before.id)
        return Prepared([operation(self._conditional(c, entries), token_hex(8)) for c, entries in pairs], after)

    async def _with_entries(self, changes: Sequence[Change[S]]) -> list[tuple[Change[S], list[dict[str, Any]]]]:
        now = await self._clock.now()
        return [(change, [entry(event, now, change.trace) for event in change.events]) for change in changes]

    def _conditional(self, change: Change[S], entries: Sequence[Mapping[str, Any]]) -> Write:
        before = change.before
        return Write(before.id, before.version, self._documents.changed(before.state, change.state), entries)

    def _remember(self, before: Saved[S], after: S | None) -> None:
        """After a conditional write: what it made, or that another was faster."""
        if after is None:
            self._memory.forget(before.id)
        else:
            self._memory.note(Saved(before.id, before.version + 1, after))

    async def announce_leftovers(self, older_than: timedelta = timedelta(seconds=10)) -> int:
        return await self.pending.announce_leftovers(await self._clock.now() - older_than)

    async def _write(
        self, before: Saved[S], state: S, entries: Sequence[dict[str, Any]], events: Sequence[Event]
    ) -> tuple[bool, list[Told]]:
        """Together with what others write at the same moment."""
        won = await self._writes.write(self._conditional(Change(before, state, trace={}), entries))
        self._count([won])
        self._remember(before, state if won else None)
        return won, tellings(before.id, entries, events)

    def _count(self, won: Sequence[bool]) -> None:
        for outcome, number in (("won", sum(won)), ("lost", len(won) - sum(won))):
            if number:
                SAVES.labels(self._service, self.collection.name, outcome).inc(number)


def only_there_already(details: Mapping[str, Any]) -> set[int] | None:
    """Which documents of an insertion were there before; None when anything else went wrong, or what is new is not safe yet."""
    errors = details.get("writeErrors", [])
    if not errors or details.get("writeConcernErrors") or any(error["code"] != ALREADY_THERE for error in errors):
        return None
    return {error["index"] for error in errors}


__all__ = [
    "TRIES", "Change", "Contended", "Decide", "DecideFromNothing", "Decision", "New", "Prepared", "Saved", "SavedThenTold",
    "Unknown",
]  # fmt: skip
