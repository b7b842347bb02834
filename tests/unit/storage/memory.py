"""Storage's repositories and store in memory: what a delivery meets, and what tasks are kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from contracts.events import Event
from services.chassis.bell import Bell
from services.chassis.clock import DatabaseClock
from services.chassis.repository import Change, Saved
from services.storage.bucket import Bucket
from services.storage.children import Children
from services.storage.domain.frame import Claim, FrameRecord, Refusal
from services.storage.domain.job import Job
from services.storage.domain.task import Task, TaskKind, delay
from services.storage.repository import Agents, Claims, Frames, Jobs, Refusals, Tasks
from services.storage.settling import Settling
from tests.unit.clock import Clock
from tests.unit.storage.builders import KEYS


class MemoryTasks:
    """Stands in for Tasks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.kept: dict[str, Task] = {}
        self.bell = Bell()

    async def add(self, task: Task) -> None:
        self.kept.setdefault(task.id, replace(task, not_before=self._clock.at))

    async def take(self, holder: str, kinds: Sequence[TaskKind]) -> Task | None:
        free = (task for task in self.kept.values() if task.kind in kinds and not task.given_up and not task.holder)
        due = sorted((task.not_before, task.id) for task in free if task.not_before and task.not_before <= self._clock.at)
        if not due:
            return None
        taken = self.kept[due[0][1]] = replace(self.kept[due[0][1]], holder=holder)
        return taken

    async def renew(self, task: Task) -> bool:
        return True

    async def done(self, task: Task) -> None:
        del self.kept[task.id]

    async def again(self, task: Task, problem: str, counted: bool, given_up: bool = False) -> None:
        tries = task.tries + counted
        later = self._clock.at + delay(task.kind, tries)
        self.kept[task.id] = replace(task, holder="", tries=tries, problem=problem, given_up=given_up, not_before=later)

    def its_holder_dies(self, task: str) -> None:
        self.kept[task] = replace(self.kept[task], holder="")

    @property
    def theirs(self) -> Tasks:
        return cast(Tasks, self)


class Found:
    """Stands in for repositories that are asked what is known."""

    def __init__(self, there: Mapping[str, Any]) -> None:
        self._there = there

    async def known(self, ids: Iterable[str]) -> Any:
        return {id: self._there[id] for id in set(ids) if id in self._there}

    async def revoked_among(self, agents: Iterable[str]) -> set[str]:
        return set(agents) & set(self._there)

    async def save(self, changes: Sequence[Change[FrameRecord]]) -> list[bool]:
        return [False for _ in changes]


class Refused(Found):
    def __init__(self, there: dict[str, Refusal]) -> None:
        super().__init__(there)
        self._kept = there

    async def add(self, id: str, refusal: Refusal, event: Event) -> None:
        self._kept[id] = refusal


class NoFiles:
    """A store to which nobody has sent anything."""

    async def get(self, key: str, most: int) -> bytes | None:
        return None

    async def delete(self, keys: Sequence[str]) -> None:
        """What is not there is not missed."""


@dataclass
class Remembered:
    """What storage knows. Nothing is in its store, so nothing is ever looked at."""

    clock: Clock = field(default_factory=Clock)
    jobs: dict[str, Job] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    frames: dict[str, Saved[FrameRecord]] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    blamed: list[str] = field(default_factory=list)

    def settling(self) -> Settling:
        return Settling(
            cast(Agents, Found({})),
            cast(Jobs, Found(self.jobs)),
            cast(Frames, Found(self.frames)),
            cast(Claims, Found(self.claims)),
            cast(Refusals, Refused(self.refused)),
            cast(Bucket, NoFiles()),
            cast(Children, None),
            cast(DatabaseClock, self.clock),
            KEYS,
            4,
            self.blamed.append,
        )
