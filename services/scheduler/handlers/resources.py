"""What attempts take of lenders' machines: of interest here is how much memory a job really needs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.events import ResourcesSampled
from contracts.values import Kind
from services.chassis.delivery import Received
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import SenderFault
from services.scheduler.desk import Desk
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import memory
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Decided, Job

Outcome = BaseException | None


@dataclass(frozen=True)
class Peak:
    agent: Agent
    chunk: Chunk
    attempt: str
    bytes: int


def register(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.in_batches(ResourcesSampled)
    async def on_resources_sampled(batch: list[Received[ResourcesSampled]]) -> list[Outcome]:
        return await sampled(desk, batch)


async def sampled(desk: Desk, batch: Sequence[Received[ResourcesSampled]]) -> list[Outcome]:
    """Only an attempt's last word counts, and only of an agent that had this attempt of this job."""
    last = [one for one in batch if one.event.last]
    found = await desk.chunks.read_many(one.event.chunk for one in last)
    agents = {id: saved.state for id, saved in (await desk.agents.read_many(one.sender for one in last)).items()}
    outcomes: list[Outcome] = []
    peaks: dict[str, list[Peak]] = defaultdict(list)
    for one in batch:
        saved, agent = found.get(one.event.chunk), agents.get(one.sender)
        chunk = saved.state if saved else None
        had = chunk is not None and chunk.job == one.event.job and chunks.knows(chunk, one.event.attempt, one.sender)
        outcomes.append(None if had or not one.event.last else SenderFault(f"{one.sender} was never given this attempt"))
        if had and agent is not None and chunk is not None and chunk.kind in (Kind.SAMPLE, Kind.RENDER):
            peaks[one.event.job].append(Peak(agent, chunk, one.event.attempt, one.event.resources.memory_peak_bytes))
    for job, seen in peaks.items():
        await _note(desk, job, seen)
    return outcomes


async def _note(desk: Desk, job: str, peaks: Sequence[Peak]) -> None:
    def decide(state: Job, _: datetime) -> Decided:
        for one in peaks:
            state = memory.noted(state, one.agent.owner, one.agent.house, one.bytes)
            if one.agent.house:
                state = memory.tried(memory.houses(state, one.chunk.chunk, one.attempt, one.bytes), one.chunk)
        return state, []

    known = await desk.jobs.get(job)
    if known is not None and decide(known, known.created_at)[0] != known:
        await desk.jobs.update(job, decide)
