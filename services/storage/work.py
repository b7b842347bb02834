"""Takes tasks that last longer than a message may, one at a time per worker, under a lease that is renewed while it works."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import structlog

from services.chassis import traces
from services.chassis.verdicts import Verdict, verdict
from services.storage.deferring import Deferring
from services.storage.domain.task import LEASE, Task, TaskKind, is_last
from services.storage.metrics import TASKS
from services.storage.packaging import Packaging
from services.storage.repository import Tasks
from services.storage.sealing import Sealing
from services.storage.uploading import Uploading

log = structlog.get_logger()
Doing = Callable[[Task], Awaitable[None]]


class LeaseLost(Exception):
    """Another worker has it now."""


@dataclass(frozen=True)
class Work:
    """What each kind of task does; and what is said when it is given up, of kinds somebody waits for. The others never are."""

    tasks: Tasks
    doings: Mapping[TaskKind, Doing]
    given_up: Mapping[TaskKind, Doing]
    look_seconds: float = 2.0

    async def all_due(self, kinds: Sequence[TaskKind]) -> None:
        """One task after another until none is due; then a look round now and then, and at once when one is added."""
        rings = self.tasks.bell.rings
        while (task := await self.tasks.take(uuid4().hex, kinds)) is not None:
            await self._one(task)
            rings = self.tasks.bell.rings
        await self.tasks.bell.after(rings, self.look_seconds)

    async def _one(self, task: Task) -> None:
        try:
            with traces.span(f"storage {task.kind.value}", {"task": task.id}, task.trace):
                await self._under_lease(task)
        except asyncio.CancelledError:
            await self.tasks.again(task, "stopped", counted=False)
            raise
        except LeaseLost:
            log.warning("lost the lease of a task", task=task.id)
        except Exception as problem:
            await self._failed(task, problem)
        else:
            await self.tasks.done(task)
            TASKS.labels(task.kind.value, "done").inc()

    async def _under_lease(self, task: Task) -> None:
        doing = asyncio.ensure_future(self.doings[task.kind](task))
        try:
            while not (await asyncio.wait({doing}, timeout=LEASE.total_seconds() / 4))[0]:
                if not await self.tasks.renew(task):
                    raise LeaseLost(task.id)
            await doing
        finally:
            doing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await doing

    async def _failed(self, task: Task, problem: Exception) -> None:
        """The world's failures wait and try on; ours count. Told first and written then: whoever dies in between tells again, and
        nobody waits for a word that never comes."""
        ours = verdict(problem) not in (Verdict.WORLD, Verdict.NOT_YET)
        TASKS.labels(task.kind.value, "failed" if ours else "postponed").inc()
        log.log(40 if ours else 30, "task failed", task=task.id, problem=repr(problem)[:500], exc_info=ours)
        tell = self.given_up.get(task.kind) if ours and is_last(task) else None
        if tell is not None:
            log.error("task given up", task=task.id)
            await tell(task)
        await self.tasks.again(task, repr(problem), counted=ours, given_up=tell is not None)


def doings(uploading: Uploading, deferring: Deferring, packaging: Packaging, sealing: Sealing) -> dict[TaskKind, Doing]:
    return {
        TaskKind.BUNDLE: lambda task: uploading.verify(task.subject),
        TaskKind.FRAMES: lambda task: deferring.settle(task.body),
        TaskKind.PACKAGE: lambda task: packaging.package(task.subject),
        TaskKind.PURGE: lambda task: sealing.purge(task.subject),
    }


def given_up(uploading: Uploading, packaging: Packaging) -> dict[TaskKind, Doing]:
    text = "We could not read the upload; nobody is to blame but us, and we have been told. Try it again later."
    return {
        TaskKind.BUNDLE: lambda task: uploading.reject(task.subject, "storage_error", text),
        TaskKind.PACKAGE: lambda task: packaging.give_up(task.subject),
    }
