"""A farm around the scheduler's real handlers, dispatch and sweeps on repositories in memory: no database, no broker."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from contracts.bus import NotAnnounced, new_id
from contracts.events import Event
from contracts.shards import UNDIVIDED, Shard
from contracts.topology import SCHEDULER
from services.chassis.conduct import Limits
from services.chassis.delivery import Received
from services.chassis.doorkeeper import Doorkeeper
from services.scheduler.choosing import Choosing
from services.scheduler.closing import Closing
from services.scheduler.desk import Desk
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import JobState
from services.scheduler.gate import Gate
from services.scheduler.halting import Halting
from services.scheduler.handlers import agents, attempts, conduct, farm, frames, jobs, lenders, offers, resources, steering
from services.scheduler.learning import Learning
from services.scheduler.leases import Hearing, Leases
from services.scheduler.progress import Progress
from services.scheduler.quarantine import Quarantine
from services.scheduler.quoting import Quoting
from services.scheduler.repository import Farms, Quotes, Storages
from services.scheduler.signing import Signing
from services.scheduler.sweeps import Promises, Repairs
from services.scheduler.traffic import Traffic
from tests.unit.clock import Clock
from tests.unit.scheduler.builders import IMAGE, a_chunk, a_sampled_job, an_agent
from tests.unit.scheduler.management import Management
from tests.unit.scheduler.memory import MemoryAgents, MemoryChoices, MemoryChunks, MemoryJobs, Store

KEYS = {"1": b"k" * 32}


class Doors:
    """Stands in for the inboxes: keeps the handlers, so that a test can hand them events."""

    def __init__(self) -> None:
        self.one: dict[type[Event], Any] = {}
        self.of_agents: dict[type[Event], Any] = {}
        self.batches: dict[type[Event], Any] = {}

    def on(self, event: type[Event]) -> Any:
        return self._keeper(self.one, event)

    def on_agent(self, event: type[Event]) -> Any:
        return self._keeper(self.of_agents, event)

    def in_batches(self, event: type[Event]) -> Any:
        return self._keeper(self.batches, event)

    def _keeper(self, kept: dict[type[Event], Any], event: type[Event]) -> Any:
        def keep(handler: Any) -> Any:
            kept[event] = handler
            return handler

        return keep


class Office:
    """The scheduler's own code on memory. `told` gets every event it says."""

    def __init__(self, loses: Callable[[], bool] = lambda: False, policy: Policy | None = None) -> None:
        self.clock, self.told, self.is_connected = Clock(), list[Event](), True
        self.full_mailboxes = set[str]()
        self.dies_in: int | None = None
        """So many steps from now the process dies."""
        self.died_at = self.clock.at - timedelta(days=1)
        self.forgets = False
        """Whatever a dead process had saved and not told."""
        self._signing = Signing(KEYS, self._holds, self._is_revoked)
        self._stores = stores = [Store[Any](self.clock, self._tell, loses, self._dies) for _ in range(7)]
        self.jobs, self.chunks, self.agents = (
            MemoryJobs(cast(Any, stores[0])),
            MemoryChunks(cast(Any, stores[1])),
            MemoryAgents(cast(Any, stores[2])),
        )
        self.farms = Farms(cast(Any, stores[3]))
        self.choices = MemoryChoices(cast(Any, stores[4]))
        self.quotes = Quotes(cast(Any, stores[5]))
        self.storages = Storages(cast(Any, stores[6]))
        self.management = Management()
        self.gate = Gate(self.agents, self.chunks, self.management.broker())
        self.begin(policy or Policy(first_frame=0))  # machines here start at no cost

    def begin(self, policy: Policy, shard: Shard = UNDIVIDED) -> None:
        """A new process on the same documents."""
        dispatch = Dispatch(self.jobs, self.chunks, self.agents, policy, IMAGE, shard=shard)
        self.desk = Desk(
            jobs=self.jobs, chunks=self.chunks, agents=self.agents, dispatch=dispatch,
            closing=Closing(self.jobs, self.chunks, dispatch), learning=Learning(self.jobs, self.agents),
            quoting=Quoting(self.jobs, self.agents, self.quotes, policy, dispatch),
            progress=Progress(self.jobs, self.chunks, self.agents, self._tell, shard), policy=policy, keys=KEYS,
            say=self._say, now=self.clock.now, storages=self.storages, shard=shard,
        )  # fmt: skip
        self.halting = Halting(self.farms, self.agents, self.chunks, dispatch, self._say)
        self.desk = replace(self.desk, remind=self.halting.tell)
        self._doors = Doors()
        farm.register(cast(Any, self._doors), self.halting)
        for subject in (agents, attempts, frames, jobs, resources, steering):
            subject.register(cast(Any, self._doors), self.desk)
        self.doorkeeper = Doorkeeper(SCHEDULER, Limits())
        self.quarantine = Quarantine(self.desk, self.gate, self.doorkeeper)
        lenders.register(cast(Any, self._doors), self.desk, self.gate, self.quarantine)
        self.traffic = Traffic(self.desk, self.management.broker(), self.quarantine)
        conduct.register(cast(Any, self._doors), self.quarantine)
        self.choosing = Choosing(self.desk, self.choices)
        offers.register(cast(Any, self._doors), self.choosing)
        self._sweeps = (Leases(self.desk, Hearing(lambda: self.is_connected)), Repairs(self.desk), Promises(self.desk))

    async def hear(self, event: Event, sender: str = "service", id: str = "") -> None:
        """As the chassis hands it over. Raises what the handler says is wrong with it."""
        kind = type(event)
        if kind in self._doors.batches:
            received = Received(event, sender, id or new_id(), 0, self.clock.at, {})
            wrong = (await self._doors.batches[kind]([received]))[0]
            if wrong is not None:
                raise wrong
        elif kind in self._doors.of_agents:
            await self._doors.of_agents[kind](sender, event)
        else:
            await self._doors.one[kind](event)

    async def reborn(self) -> None:
        """After a death: another process on the same documents, which tells first what the last one saved."""
        self.begin(self.desk.policy)
        self.died_at = self.clock.at
        for kept in () if self.forgets else self._stores:
            await kept.tell_leftovers()

    def _dies(self) -> bool:
        if self.dies_in is None:
            return False
        self.dies_in -= 1
        if self.dies_in > 0:
            return False
        self.dies_in = None
        return True

    async def sweep(self) -> None:
        await self.halting.sweep()
        for sweep in self._sweeps:
            await sweep.sweep()
        await self.choosing.sweep()
        await self.desk.dispatch.look()
        await self.desk.learning.fold()
        await self.desk.quoting.fold()
        await self.desk.progress.tell()

    def job(self, job: str = "job") -> Job:
        return cast(Job, self.jobs.store.states[job][1])

    def all_chunks(self) -> list[Chunk]:
        return [state for _, state in self.chunks.store.states.values()]

    def all_agents(self) -> list[Agent]:
        return [state for _, state in self.agents.store.states.values()]

    async def _say(self, event: Event) -> None:
        if event.addressee in self.full_mailboxes:
            raise NotAnnounced("the mailbox is full")
        await self._tell(event)

    async def _tell(self, event: Event, is_fresh: bool = False) -> None:
        finished = await self._signing.finish(event, is_fresh)
        if finished is not None:
            self.told.append(finished)

    async def _holds(self, chunk: str, attempt: str) -> bool:
        known = await self.chunks.get(chunk)
        return known is not None and known.holder is not None and known.holder.attempt == attempt

    async def _is_revoked(self, agent: str) -> bool:
        return await self.agents.is_revoked(agent)


async def in_anns_hand(*others: Agent) -> Office:
    """One job whose only chunk ann has in hand."""
    it = Office()
    await it.jobs.store.add("job", a_sampled_job(4, state=JobState.RENDERING, uncut=()))
    for agent in (an_agent("ann"), *others):
        await it.agents.store.add(agent.agent, agent)
    await it.chunks.store.add("chunk", a_chunk(version=1))
    await it.sweep()
    assert it.all_chunks()[0].holder is not None
    return it
