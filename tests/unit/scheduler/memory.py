"""The scheduler's repositories in memory.

The store keeps the promises of `SavedThenTold`: conditional writes on versions, inserts that happen once, events told after the
write. It can be told to lose writes, as if another process had been faster.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from contracts.events import Event
from services.chassis.pending import Told
from services.chassis.repository import Change, New, Saved, Unknown
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.choosing import Choice
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import (
    HEARD_AGENT,
    HELD_CHUNK,
    HELD_UP,
    OPEN_CHUNK,
    UNSETTLED,
    WORKING,
    AgentState,
    ChoiceState,
    ChunkState,
    JobState,
)
from services.scheduler.repository import Agents, Choices, Chunks, Jobs, Tally
from tests.unit.clock import Clock

S = TypeVar("S")


class Died(BaseException):
    """The process is gone: nothing after this point has happened."""


class Store(Generic[S]):
    """Stands in for SavedThenTold. `loses` is asked before every conditional write; `dies` before every write, and before and
    after each event that was saved with it is told."""

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[Event, bool], Any],
        loses: Callable[[], bool],
        dies: Callable[[], bool] = lambda: False,
    ) -> None:
        self._dies = dies
        self.pending_events: list[Event] = []
        """Saved, and not known to be told."""
        self.tells_losers = False
        """The guard off: what was to be said with a write that another process won is said all the same."""
        self.states: dict[str, tuple[int, S]] = {}
        self._clock, self._tell, self._loses = clock, tell, loses
        self.pending = self

    async def now(self) -> datetime:
        return self._clock.at

    async def get(self, id: str) -> S | None:
        return self.states[id][1] if id in self.states else None

    async def read_many(self, ids: Iterable[str]) -> dict[str, Saved[S]]:
        return {id: self.saved(id) for id in set(ids) if id in self.states}

    def saved(self, id: str) -> Saved[S]:
        return Saved(id, *self.states[id])

    async def recall_many(self, ids: Iterable[str]) -> dict[str, Saved[S]]:
        return await self.read_many(ids)

    def forget(self, ids: Iterable[str]) -> None:
        """Nothing is remembered here."""

    async def current(self, query: Mapping[str, Any]) -> list[Saved[S]]:
        """By id only; other queries are answered by the repositories themselves."""
        return list((await self.read_many(query["_id"]["$in"])).values())

    async def add(self, id: str, state: S, events: Sequence[Event] = ()) -> bool:
        return (await self.add_many([New(id, state, events)]))[0]

    async def add_many(self, new: Sequence[New[S]]) -> list[bool]:
        added, told = await self.insert(new)
        await self.tell(told)
        return added

    async def insert(self, new: Sequence[New[S]]) -> tuple[list[bool], list[Told]]:
        self._step()
        added: list[bool] = []
        told: list[Told] = []
        for one in new:
            added.append(one.id not in self.states)
            if added[-1]:
                self.states[one.id] = (1, one.state)
                told += [Told(one.id, {"event": event}) for event in one.events]
                self.pending_events += one.events
        return added, told

    async def update(self, id: str, decide: Callable[[S, datetime], tuple[S, Sequence[Event]]]) -> S:
        state, told = await self.decide(id, decide)
        await self.tell(told)
        return state

    async def decide(self, id: str, decide: Callable[[S, datetime], tuple[S, Sequence[Event]]]) -> tuple[S, list[Told]]:
        if id not in self.states:
            raise Unknown(id)
        return await self._decided(id, cast(Any, decide))

    async def update_or_add(self, id: str, decide: Callable[[S | None, datetime], tuple[S, Sequence[Event]]]) -> S:
        state, told = await self._decided(id, decide)
        await self.tell(told)
        return state

    async def _decided(self, id: str, decide: Callable[[S | None, datetime], tuple[S, Sequence[Event]]]) -> tuple[S, list[Told]]:
        before = await self.get(id)
        if self._loses():
            decide(before, self._clock.at)
        state, events = decide(before, self._clock.at)
        if before is None or state != before or events:
            self._step()
            self.states[id] = (self.states[id][0] + 1 if before is not None else 1, state)
            self.pending_events += events
        return state, [Told(id, {"event": event}) for event in events]

    async def save(self, changes: Sequence[Change[S]]) -> list[bool]:
        won, told = await self.write(changes)
        await self.tell(told)
        return won

    async def write(self, changes: Sequence[Change[S]]) -> tuple[list[bool], list[Told]]:
        assert len({change.before.id for change in changes}) == len(changes), "a document may appear once in a grouped write"
        self._step()
        won: list[bool] = []
        told: list[Told] = []
        for change in changes:
            version = self.states[change.before.id][0]
            won.append(version == change.before.version and not self._loses())
            if won[-1]:
                self.states[change.before.id] = (version + 1, change.state)
                told += [Told(change.before.id, {"event": event}) for event in change.events]
                self.pending_events += change.events
            elif self.tells_losers:
                told += [Told(change.before.id, {"event": event}) for event in change.events]
        return won, told

    async def tell(self, told: Sequence[Told]) -> None:
        await self._told([one.saved["event"] for one in told])

    def found(self, wanted: Callable[[S], bool]) -> list[Saved[S]]:
        return [Saved(id, version, state) for id, (version, state) in self.states.items() if wanted(state)]

    def _step(self) -> None:
        if self._dies():
            raise Died

    async def _told(self, events: Sequence[Event], is_fresh: bool = True) -> None:
        for event in events:
            self._step()
            await self._tell(event, is_fresh)
            self._step()
            self.pending_events = [one for one in self.pending_events if one is not event]

    async def tell_leftovers(self) -> None:
        """What the next process does first: some may be told twice."""
        await self._told(list(self.pending_events), is_fresh=False)


class MemoryJobs(Jobs):
    store: Any

    async def working(self) -> list[Job]:
        return [saved.state for saved in self.store.found(lambda job: job.state in WORKING)]

    async def held_up_beyond(self, now: datetime) -> list[Job]:
        return [saved.state for saved in self.store.found(lambda job: job.state in HELD_UP)]

    async def with_cuts(self) -> list[Job]:
        return [saved.state for saved in self.store.found(lambda job: job.state in {*WORKING, *HELD_UP} and job.cuts)]

    async def nearly_rendered(self) -> list[str]:
        states = {JobState.QUEUED, JobState.RENDERING}
        return [saved.id for saved in self.store.found(lambda job: job.state in states and not job.uncut)]

    async def leaving_out(self) -> list[Job]:
        return [saved.state for saved in self.store.found(lambda job: job.state in WORKING and job.wishes.left_out)]

    async def not_working(self, jobs: list[str]) -> list[Job]:
        return [saved.state for saved in self.store.found(lambda job: job.job in jobs and job.state not in WORKING)]


class MemoryChunks(Chunks):
    store: Any

    def _open(self, wanted: Callable[[Chunk], bool]) -> list[Saved[Chunk]]:
        return cast(list[Saved[Chunk]], self.store.found(lambda chunk: chunk.state in OPEN_CHUNK and wanted(chunk)))

    async def existing(self, chunks: Collection[str]) -> set[str]:
        return {id for id in chunks if id in self.store.states}

    async def queued(self, jobs: Collection[str], most: int, house: bool | None = None) -> list[Saved[Chunk]]:
        found = self._open(lambda chunk: chunk.state is ChunkState.QUEUED and chunk.job in jobs and house in (None, chunk.house))
        return sorted(found, key=lambda saved: saved.state.opened_at)[:most]

    async def open_of(self, job: str, most: int = 500) -> list[Saved[Chunk]]:
        return self._open(lambda chunk: chunk.job == job)[:most]

    async def held_of(self, jobs: Collection[str], most: int = 500) -> list[Saved[Chunk]]:
        return self._open(lambda chunk: chunk.state in HELD_CHUNK and chunk.job in jobs)[:most]

    async def at_work(self, most: int = 500) -> list[Saved[Chunk]]:
        return self._open(lambda chunk: chunk.holder is not None and chunk.holder.done_at is None)[:most]

    async def any_open(self, job: str) -> bool:
        return bool(await self.open_of(job))

    async def jobs_queued(self) -> list[str]:
        return sorted({saved.state.job for saved in self._open(lambda chunk: chunk.state is ChunkState.QUEUED)})

    async def jobs_with_open(self) -> list[str]:
        return sorted({saved.state.job for saved in self._open(lambda _: True)})

    async def overdue(self, now: datetime) -> list[Chunk]:
        return [saved.state for saved in await self.at_work() if saved.state.holder and saved.state.holder.hard_end < now]

    async def done_before(self, at: datetime) -> list[Chunk]:
        def is_late(chunk: Chunk) -> bool:
            return chunk.holder is not None and chunk.holder.done_at is not None and chunk.holder.done_at < at

        return [saved.state for saved in self._open(is_late)]

    async def held(self, claimed_before: datetime) -> list[tuple[str, str, str]]:
        found = self._open(lambda chunk: chunk.holder is not None and chunk.holder.at < claimed_before)
        return [(one.id, one.state.holder.attempt, one.state.holder.agent) for one in found if one.state.holder]

    async def tally(self, job: str) -> Tally:
        return Tally(sum(one.state.stored for one in self.store.found(lambda chunk: chunk.job == job and not chunk.copy_of)), {})


class MemoryAgents(Agents):
    store: Any

    async def heard(self) -> list[Saved[Agent]]:
        return cast(list[Saved[Agent]], self.store.found(lambda agent: agent.state in HEARD_AGENT))

    async def reachable(self) -> list[Saved[Agent]]:
        states = {*HEARD_AGENT, AgentState.OFFLINE, AgentState.SUSPENDED}
        return cast(list[Saved[Agent]], self.store.found(lambda agent: agent.state in states))

    async def silent(self, since: datetime) -> list[Saved[Agent]]:
        return [saved for saved in await self.heard() if saved.state.seen_at is not None and saved.state.seen_at < since]

    async def note_heard(self, seen: Mapping[str, datetime]) -> None:
        for agent, at in seen.items():
            version, state = self.store.states[agent]
            self.store.states[agent] = (version, _seen(state, at))

    async def unsettled(self) -> list[str]:
        return [saved.id for saved in self.store.found(lambda agent: agent.access in UNSETTLED)]

    async def unheard(self) -> list[str]:
        out = (AgentState.QUARANTINED, AgentState.REVOKED)
        return [saved.id for saved in self.store.found(lambda agent: agent.state in out)]

    async def is_revoked(self, agent: str) -> bool:
        known = await self.get(agent)
        return known is not None and known.state is AgentState.REVOKED


class MemoryChoices(Choices):
    store: Any

    async def standing(self) -> list[Choice]:
        return [saved.state for saved in self.store.found(lambda choice: choice.state is not ChoiceState.OVER)]

    async def accepted(self, owner: str) -> list[Choice]:
        found = self.store.found(lambda choice: choice.state is ChoiceState.ACCEPTED and choice.owner == owner)
        return [saved.state for saved in found]

    async def forget(self, before: datetime) -> None:
        for saved in self.store.found(lambda choice: choice.ended_at is not None and choice.ended_at < before):
            del self.store.states[saved.id]


def _seen(agent: Agent, at: datetime) -> Agent:
    return replace(agent, seen_at=max(at, agent.seen_at or at))
