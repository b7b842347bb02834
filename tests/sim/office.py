"""The scheduler's own code, wired as `services.scheduler.app` does, on shelves and virtual time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from contracts.events import Event
from services.chassis.delivery import Received
from services.scheduler.closing import Closing
from services.scheduler.desk import Desk
from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quotes import Quote
from services.scheduler.domain.verification import Storage
from services.scheduler.handlers import agents, attempts, frames, jobs, steering
from services.scheduler.learning import Learning
from services.scheduler.leases import Hearing, Leases
from services.scheduler.progress import Progress
from services.scheduler.quoting import Quoting
from services.scheduler.repository import Quotes, Storages
from services.scheduler.signing import Signing
from services.scheduler.sweeps import Promises, Repairs
from tests.sim.shelves import AgentShelf, ChunkShelf, JobShelf, Shelf
from tests.sim.virtual import Time
from tests.unit.scheduler.builders import IMAGE
from tests.unit.scheduler.office import KEYS, Doors

Post = Callable[[Event], None]
LEASES, LOOK, PROMISES, REPAIRS, LEARNING = 2.0, 2.0, 2.0, 5.0, 2.0
"""How often the scheduler sweeps (services/scheduler/sweeps.py). Progress is not told here: nothing is decided on it."""


class Office:
    """`post` gets every event it says."""

    def __init__(self, time: Time, post: Post, policy: Policy, dispatch: type[Dispatch]) -> None:
        self._time, self._post = time, post
        self.jobs = JobShelf(time.now, self._tell)
        self.chunks = ChunkShelf(time.now, self._tell)
        self.agents = AgentShelf(time.now, self._tell)
        self.quotes = Quotes(cast(Any, Shelf[Quote](time.now, self._tell, lambda *_: None)))
        storages = Storages(cast(Any, Shelf[Storage](time.now, self._tell, lambda *_: None)))
        self._signing = Signing(KEYS, self._holds, self.agents.is_revoked)
        self.dispatch = dispatch(self.jobs, self.chunks, self.agents, policy, IMAGE, monotonic=time.monotonic)
        self.desk = Desk(
            jobs=self.jobs, chunks=self.chunks, agents=self.agents, dispatch=self.dispatch,
            closing=Closing(self.jobs, self.chunks, self.dispatch), learning=Learning(self.jobs, self.agents),
            quoting=Quoting(self.jobs, self.agents, self.quotes, policy, self.dispatch),
            progress=Progress(self.jobs, self.chunks, self.agents, self._tell), policy=policy, keys=KEYS,
            say=self._tell, now=time.now, storages=storages,
        )  # fmt: skip
        self._doors = Doors()
        for subject in (agents, attempts, frames, jobs, steering):
            subject.register(cast(Any, self._doors), self.desk)

    def open(self) -> None:
        """The sweeps begin."""
        leases, repairs, promises = Leases(self.desk, Hearing(lambda: True)), Repairs(self.desk), Promises(self.desk)
        for seconds, sweep in (
            (LEASES, leases.sweep),
            (LOOK, self.dispatch.look),
            (REPAIRS, repairs.sweep),
            (PROMISES, promises.sweep),
            (LEARNING, self.desk.learning.fold),
            (LEARNING, self.desk.quoting.fold),
        ):
            self._again(seconds, sweep)

    def _again(self, seconds: float, sweep: Callable[[], Awaitable[None]]) -> None:
        async def step() -> None:
            await sweep()
            self._again(seconds, sweep)

        self._time.after(seconds, step)

    async def hear(self, kind: type[Event], batch: Sequence[Received[Any]]) -> list[BaseException | None]:
        """As the chassis hands them over; one outcome per message."""
        if kind in self._doors.batches:
            outcomes: list[BaseException | None] = await self._doors.batches[kind](list(batch))
            return outcomes
        return [await self._one(kind, received) for received in batch]

    async def _one(self, kind: type[Event], received: Received[Any]) -> BaseException | None:
        try:
            if kind in self._doors.of_agents:
                await self._doors.of_agents[kind](received.sender, received.event)
            else:
                await self._doors.one[kind](received.event)
        except Exception as wrong:
            return wrong
        return None

    async def _tell(self, event: Event) -> None:
        finished = await self._signing.finish(event)
        if finished is not None:
            self._post(finished)

    async def _holds(self, chunk: str, attempt: str) -> bool:
        known = await self.chunks.get(chunk)
        return known is not None and known.holder is not None and known.holder.attempt == attempt
