"""Delivered frames at once, or, when there are too many pixels to look at while their messages wait, as a task."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from contracts.events import FramesCompleted
from services.chassis import traces
from services.chassis.verdicts import SenderFault
from services.storage.domain import effort
from services.storage.domain.delivery import Delivery
from services.storage.domain.task import Task, TaskKind
from services.storage.repository import Tasks
from services.storage.settling import Settling

log = structlog.get_logger()


@dataclass(frozen=True)
class Deferring:
    settling: Settling
    tasks: Tasks
    verifiers: int

    async def take(self, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        """One outcome per delivery; None when it is durably decided or durably waiting. Raises WorldAway."""
        efforts = [effort.seconds(len(delivery.frames), delivery.grant.picture) for delivery in deliveries]
        small = effort.at_once(efforts, self.verifiers)
        settled = iter(await self.settling.settle([one for one, now in zip(deliveries, small, strict=True) if now]))
        later = [one for one, now in zip(deliveries, small, strict=True) if not now]
        expected = await self.settling.expect(later) if later else []
        deferred = iter([await self._defer(one, left) for one, left in zip(later, expected, strict=True)])
        return [next(settled) if now else next(deferred) for now in small]

    async def _defer(self, delivery: Delivery, left: Exception | int) -> Exception | None:
        """The grant is kept without its signature: it was checked, and the task needs no more. Files that were never told get no
        task: it would wait for them without end, and an agent can invent thousands of them."""
        if isinstance(left, Exception):
            return left
        if not left:
            return None
        body = FramesCompleted(grant=delivery.grant.model_copy(update={"mac": ""}), frames=delivery.frames).model_dump_json()
        await self.tasks.add(Task(_name(delivery), TaskKind.FRAMES, delivery.grant.attempt, body))
        return None

    async def settle(self, body: str) -> None:
        """The task. Raises NotYet, WorldAway. It ends also where rules that have changed since admit it no more."""
        event = FramesCompleted.model_validate_json(body)
        delivery = Delivery(event.grant, event.frames, trace=traces.carried(), admitted=True)
        (problem,) = await self.settling.settle([delivery])
        if isinstance(problem, SenderFault):
            log.warning("put off, and not admitted any more", attempt=event.grant.attempt, problem=str(problem))
        elif problem is not None:
            raise problem


def _name(delivery: Delivery) -> str:
    """The same for the same files, whatever else is said of them: else each telling would be one task more."""
    files = sorted(f"{frame.frame}:{frame.file_sha256}" for frame in delivery.frames)
    return f"frames:{delivery.grant.attempt}:{hashlib.sha256(' '.join(files).encode()).hexdigest()[:16]}"
