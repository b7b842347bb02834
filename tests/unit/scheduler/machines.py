"""Honest agents of the small farm, and what is on its wire."""

from dataclasses import dataclass, field

from contracts.bus import new_id
from contracts.events import (
    AgentPulse,
    AgentReady,
    AttemptInHand,
    ChunkAssigned,
    Event,
    FramesRejected,
    FramesStored,
    FramesSuperfluous,
    JobEstimated,
    JobQuoted,
    RejectedFrame,
    StoredFrame,
)
from contracts.grants import Grant
from contracts.values import Benchmark, Hardware
from tests.unit.scheduler.builders import GIB, IMAGE, NOW, WU


@dataclass
class Machine:
    """An honest agent. `left` holds the frames it still has to render, by attempt."""

    agent: str
    slots: int
    run: str = field(default_factory=new_id)
    mailbox: list[Event] = field(default_factory=list)
    assigned: dict[str, ChunkAssigned] = field(default_factory=dict)
    left: dict[str, list[int]] = field(default_factory=dict)

    def ready(self) -> AgentReady:
        return AgentReady(
            run=self.run, slots=self.slots, attempts=tuple(self.left), hardware=Hardware(cores=1, memory_bytes=4 * GIB),
            benchmark=Benchmark(cpu_micros=WU, wall_micros=WU), images=(IMAGE,),
        )  # fmt: skip

    def pulse(self) -> AgentPulse:
        grants = [self.assigned[attempt].grant for attempt in self.left]
        hands = tuple(AttemptInHand(attempt=g.attempt, chunk=g.chunk, job=g.job) for g in grants)
        return AgentPulse(run=self.run, attempts=hands)

    def ids(self, attempt: str) -> dict[str, str]:
        grant = self.assigned[attempt].grant
        return {"job": grant.job, "chunk": grant.chunk, "attempt": attempt}


def a_quote(estimate: JobEstimated) -> JobQuoted:
    return JobQuoted(
        job=estimate.job, account=estimate.account, version=estimate.version, price_micro=1, lines=(),
        micro_wu=estimate.micro_wu, seconds=estimate.seconds, expires_at=NOW,
    )  # fmt: skip


def _ids(grant: Grant) -> dict[str, str]:
    return {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt, "agent": grant.agent}


def stored(grant: Grant, frame: int) -> FramesStored:
    kept = StoredFrame(
        frame=frame, file_sha256="c" * 64, pixel_sha256="d" * 64, bytes=1, cpu_micros=WU, seconds=1.0, key=f"frames/{frame}"
    )
    ids = _ids(grant)
    return FramesStored(**ids, version=grant.version, kind=grant.kind, generation=grant.generation, frames=(kept,))


def rejected(grant: Grant, frame: int) -> FramesRejected:
    wrong = (RejectedFrame(frame=frame, code="decode", text="no picture"),)
    return FramesRejected(**_ids(grant), kind=grant.kind, generation=grant.generation, frames=wrong)


def superfluous(grant: Grant, frame: int) -> FramesSuperfluous:
    return FramesSuperfluous(**_ids(grant), version=grant.version, frames=(frame,))


@dataclass
class Message:
    event: Event
    sender: str
    id: str = field(default_factory=new_id)
