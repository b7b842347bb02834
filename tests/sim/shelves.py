"""The scheduler's repositories in memory, for a million frames: what they are asked for is found by index, not by search.

They keep the promises of `services.chassis.repository.SavedThenTold`: conditional writes on versions, inserts that happen once,
events told after the write. One process only, so no write is ever lost to another.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from contracts.events import Event
from services.chassis.pending import Told
from services.chassis.repository import Change, New, Saved, Unknown
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Job
from services.scheduler.domain.quick import replace
from services.scheduler.domain.states import (
    HEARD_AGENT,
    HELD_CHUNK,
    HELD_UP,
    OPEN_CHUNK,
    WORKING,
    AgentState,
    ChunkState,
    JobState,
)
from services.scheduler.repository import Agents, Chunks, Jobs, Tally

S = TypeVar("S")
Kept = Callable[[str, S | None, S], None]


class Shelf(Generic[S]):
    """`kept(id, before, after)` sees every write, for the indexes."""

    def __init__(self, now: Callable[[], Awaitable[datetime]], tell: Callable[[Event], Awaitable[None]], kept: Kept[S]) -> None:
        self.states: dict[str, Saved[S]] = {}
        self.now, self._tell, self._kept = now, tell, kept
        self.pending = self

    async def get(self, id: str) -> S | None:
        found = self.states.get(id)
        return found.state if found else None

    async def read_many(self, ids: Iterable[str]) -> dict[str, Saved[S]]:
        return {id: self.states[id] for id in dict.fromkeys(ids) if id in self.states}

    def saved(self, ids: Iterable[str]) -> list[Saved[S]]:
        return list(map(self.states.__getitem__, ids))

    async def recall_many(self, ids: Iterable[str]) -> dict[str, Saved[S]]:
        return await self.read_many(ids)

    def forget(self, ids: Iterable[str]) -> None:
        """A shelf is no memory: it is the truth."""

    async def current(self, query: Mapping[str, Any]) -> list[Saved[S]]:
        """By id only; other queries are answered by the repositories themselves."""
        return list((await self.read_many(query["_id"]["$in"])).values())

    async def add(self, id: str, state: S, events: Sequence[Event] = ()) -> bool:
        return (await self.add_many([New(id, state, events, {})]))[0]

    async def add_many(self, new: Sequence[New[S]]) -> list[bool]:
        added, told = await self.insert(new)
        await self.tell(told)
        return added

    async def insert(self, new: Sequence[New[S]]) -> tuple[list[bool], list[Told]]:
        added = [self._put_new(one) for one in new]
        told = [Told(one.id, {"event": event}) for one, good in zip(new, added, strict=True) if good for event in one.events]
        return added, told

    async def update(self, id: str, decide: Callable[[S, datetime], tuple[S, Sequence[Event]]]) -> S:
        state, told = await self.decide(id, decide)
        await self.tell(told)
        return state

    async def decide(self, id: str, decide: Callable[[S, datetime], tuple[S, Sequence[Event]]]) -> tuple[S, list[Told]]:
        if id not in self.states:
            raise Unknown(id)
        return await self._decided(id, decide)

    async def update_or_add(self, id: str, decide: Callable[[S | None, datetime], tuple[S, Sequence[Event]]]) -> S:
        state, told = await self._decided(id, decide)
        await self.tell(told)
        return state

    async def _decided(self, id: str, decide: Callable[[Any, datetime], tuple[S, Sequence[Event]]]) -> tuple[S, list[Told]]:
        before = await self.get(id)
        state, events = decide(before, await self.now())
        if before is None or events or state != before:
            self._put(id, state)
        return state, [Told(id, {"event": event}) for event in events]

    async def save(self, changes: Sequence[Change[S]]) -> list[bool]:
        won, told = await self.write(changes)
        await self.tell(told)
        return won

    async def write(self, changes: Sequence[Change[S]]) -> tuple[list[bool], list[Told]]:
        won: list[bool] = []
        told: list[Told] = []
        for change in changes:
            won.append(self.states[change.before.id].version == change.before.version)
            if won[-1]:
                self._put(change.before.id, change.state)
                told += [Told(change.before.id, {"event": event}) for event in change.events]
        return won, told

    async def tell(self, told: Sequence[Told]) -> None:
        for one in told:
            await self._tell(one.saved["event"])

    def touch(self, id: str, state: S) -> None:
        """Outside the version; no index may depend on what is changed."""
        self.states[id] = Saved(id, self.states[id].version, state)

    def _put_new(self, one: New[S]) -> bool:
        is_new = one.id not in self.states
        if is_new:
            self._put(one.id, one.state)
        return is_new

    def _put(self, id: str, state: S) -> None:
        before = self.states.get(id)
        self.states[id] = Saved(id, before.version + 1 if before else 1, state)
        self._kept(id, before.state if before else None, state)


class JobShelf(Jobs):
    """Jobs are few: looked through."""

    store: Any

    def __init__(self, now: Callable[[], Awaitable[datetime]], tell: Callable[[Event], Awaitable[None]]) -> None:
        super().__init__(cast(Any, Shelf[Job](now, tell, lambda *_: None)))

    def all(self) -> list[Job]:
        return [saved.state for saved in self.store.states.values()]

    async def working(self) -> list[Job]:
        return [job for job in self.all() if job.state in WORKING]

    async def held_up_beyond(self, now: datetime) -> list[Job]:
        return [job for job in self.all() if job.state in HELD_UP]

    async def with_cuts(self) -> list[Job]:
        return [job for job in self.all() if job.cuts and (job.state in WORKING or job.state is JobState.PAUSED)]

    async def nearly_rendered(self) -> list[str]:
        return [job.job for job in self.all() if job.state in (JobState.QUEUED, JobState.RENDERING) and not job.uncut]

    async def leaving_out(self) -> list[Job]:
        return [job for job in self.all() if job.state in WORKING and job.wishes.left_out]

    async def not_working(self, jobs: list[str]) -> list[Job]:
        return [saved.state for saved in self.store.saved(jobs) if saved.state.state not in WORKING]


class ChunkShelf(Chunks):
    """By state and job; tallies are kept, not counted."""

    store: Any

    def __init__(self, now: Callable[[], Awaitable[datetime]], tell: Callable[[Event], Awaitable[None]]) -> None:
        super().__init__(cast(Any, Shelf[Chunk](now, tell, self._keep)))
        self._open: dict[str, dict[str, None]] = {}
        self._queued: dict[str, None] = {}
        self._held: dict[str, Chunk] = {}  # as they are
        self._stored: Counter[str] = Counter()

    def _keep(self, id: str, before: Chunk | None, after: Chunk) -> None:
        self._stored[after.job] += after.stored - (before.stored if before else 0)
        was, now = before.state if before else None, after.state
        if now in HELD_CHUNK:
            self._held[id] = after
        else:
            self._held.pop(id, None)
        if was is now:
            return
        mine = self._open.setdefault(after.job, {})
        _move(mine, id, now in OPEN_CHUNK)
        _move(self._queued, id, now is ChunkState.QUEUED)

    def all(self) -> list[Chunk]:
        return [saved.state for saved in self.store.states.values()]

    async def existing(self, chunks: Collection[str]) -> set[str]:
        return {id for id in chunks if id in self.store.states}

    async def queued(self, jobs: Collection[str], most: int, house: bool | None = None) -> list[Saved[Chunk]]:
        found = [saved for saved in self.store.saved(self._queued) if saved.state.job in jobs]
        found = found if house is None else [saved for saved in found if saved.state.house is house]
        return sorted(found, key=lambda saved: saved.state.opened_at)[:most]

    async def open_of(self, job: str, most: int = 500) -> list[Saved[Chunk]]:
        found: list[Saved[Chunk]] = self.store.saved(list(self._open.get(job, ()))[:most])
        return found

    async def held_of(self, jobs: Collection[str], most: int = 500) -> list[Saved[Chunk]]:
        ids = [id for job in jobs for id in self._open.get(job, ()) if id in self._held]
        found: list[Saved[Chunk]] = self.store.saved(ids[:most])
        return found

    async def any_open(self, job: str) -> bool:
        return bool(self._open.get(job))

    async def jobs_queued(self) -> list[str]:
        return sorted({saved.state.job for saved in self.store.saved(self._queued)})

    async def jobs_with_open(self) -> list[str]:
        return sorted(job for job, chunks in self._open.items() if chunks)

    async def overdue(self, now: datetime) -> list[Chunk]:
        held = self._held.values()
        return [one for one in held if one.holder is not None and one.holder.done_at is None and one.holder.hard_end < now]

    async def done_before(self, at: datetime) -> list[Chunk]:
        held = self._held.values()
        return [one for one in held if one.holder is not None and one.holder.done_at is not None and one.holder.done_at < at]

    async def held(self, claimed_before: datetime) -> list[tuple[str, str, str]]:
        holders = [(one.chunk, one.holder) for one in self._held.values() if one.holder is not None]
        return [(id, by.attempt, by.agent) for id, by in holders if by.done_at is None and by.at < claimed_before]

    async def tally(self, job: str) -> Tally:
        return Tally(self._stored[job], {})


class AgentShelf(Agents):
    store: Any

    def __init__(self, now: Callable[[], Awaitable[datetime]], tell: Callable[[Event], Awaitable[None]]) -> None:
        super().__init__(cast(Any, Shelf[Agent](now, tell, self._keep)))
        self._heard: dict[str, None] = {}

    def _keep(self, id: str, before: Agent | None, after: Agent) -> None:
        _move(self._heard, id, after.state in HEARD_AGENT)

    async def heard(self) -> list[Saved[Agent]]:
        found: list[Saved[Agent]] = self.store.saved(self._heard)
        return found

    async def silent(self, since: datetime) -> list[Saved[Agent]]:
        return [saved for saved in await self.heard() if saved.state.seen_at is not None and saved.state.seen_at < since]

    async def note_heard(self, seen: Mapping[str, datetime]) -> None:
        for agent, at in seen.items():
            self.store.touch(agent, replace(self.store.states[agent].state, seen_at=at))

    async def unsettled(self) -> list[str]:
        return []

    async def is_revoked(self, agent: str) -> bool:
        known = await self.get(agent)
        return known is not None and known.state is AgentState.REVOKED


def _move(index: dict[str, None], id: str, belongs: bool) -> None:
    if belongs:
        index[id] = None
    else:
        index.pop(id, None)
