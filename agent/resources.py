"""Measures what attempts take of this machine, and says it: as events, as metrics, and to the owner who asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent import metrics
from agent.domain import resources
from agent.domain.admission import memory
from agent.domain.resources import Look, Taken
from agent.gpus import Gpus
from contracts.events import ChunkAssigned, Event, ResourcesSampled

Say = Callable[[Event], None]


class Meter:
    """Of one attempt. `say` gets an event when one is due."""

    def __init__(self, meters: "Meters", assignment: ChunkAssigned, say: Say) -> None:
        self._meters, self._grant, self._gpu, self._say = meters, assignment.grant, assignment.gpu, say
        self.taken = Taken(limit_bytes=memory(assignment))

    def received(self, count: int) -> None:
        metrics.NETWORK.labels("received").inc(count)
        self.taken = resources.moved(self.taken, received=count)

    def sent(self, count: int) -> None:
        metrics.NETWORK.labels("sent").inc(count)
        self.taken = resources.moved(self.taken, sent=count)

    def claimed(self, peak_bytes: int) -> None:
        """What the driver says of its own peak."""
        self.taken = resources.claimed(self.taken, peak_bytes)

    def start(self) -> None:
        self._meters.running[self._grant.attempt] = self

    async def look(self, stats: Mapping[str, Any], now: float) -> int:
        """Folds in what Docker says; returns the CPU time so far, in microseconds. Says it when it is time."""
        before = self.taken.look
        card = await self._meters.gpus.card(self._gpu)
        self.taken = resources.looked(self.taken, resources.read(stats), now, card.use if card else None)
        _count(before, self.taken.look)
        await self._meters.show()
        if resources.is_due(self.taken, now):
            self.taken = resources.said(self.taken, now)
            self._tell(last=False)
        return self.taken.look.cpu_micros

    async def end(self) -> None:
        """The container is gone: the last word, with the peaks."""
        if self._meters.running.pop(self._grant.attempt, None) is not None and self.taken.seen_at is not None:
            self._tell(last=True)
        await self._meters.show()

    def _tell(self, last: bool) -> None:
        grant, told = self._grant, resources.told(self.taken)
        self._say(ResourcesSampled(job=grant.job, chunk=grant.chunk, attempt=grant.attempt, resources=told, last=last))


@dataclass
class Meters:
    """Of all attempts of this agent."""

    gpus: Gpus
    running: dict[str, Meter] = field(default_factory=dict)

    def meter(self, assignment: ChunkAssigned, say: Say) -> Meter:
        return Meter(self, assignment, say)

    def told(self) -> dict[str, dict[str, Any]]:
        """Attempt → what it takes, as plain JSON; only of those that render."""
        return {attempt: resources.told(one.taken).model_dump(mode="json") for attempt, one in self.running.items()}

    async def show(self) -> None:
        """As metrics. No label holds an id: GPUs go by their number."""
        running = [one.taken for one in self.running.values()]
        metrics.RENDER_CORES.set(sum(one.cores for one in running))
        metrics.RENDER_MEMORY.set(sum(one.look.memory_bytes for one in running))
        metrics.RENDER_PEAK.set(max((one.peak_bytes for one in running), default=0))
        for number, card in enumerate(await self.gpus.cards()):
            if card.use is not None:
                metrics.GPU_BUSY.labels(str(number)).set(card.use.utilisation_percent / 100)
                metrics.GPU_MEMORY.labels(str(number)).set(card.use.memory_bytes)
                metrics.GPU_CELSIUS.labels(str(number)).set(card.use.celsius)


def _count(before: Look, after: Look) -> None:
    metrics.DISK.labels("read").inc(max(0, after.read_bytes - before.read_bytes))
    metrics.DISK.labels("written").inc(max(0, after.written_bytes - before.written_bytes))
