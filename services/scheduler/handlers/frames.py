"""What becomes of frames: storage's word completes them, the agents' word only shows progress."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from contracts.events import (
    Event,
    FramesCompleted,
    FramesRejected,
    FramesSealed,
    FramesStored,
    FramesSuperfluous,
    StoredFrame,
)  # fmt: skip
from contracts.grants import is_good
from contracts.values import Kind
from services.chassis import traces
from services.chassis.delivery import Received
from services.chassis.inbox import Inboxes
from services.chassis.repository import Change, Decide, Saved
from services.chassis.verdicts import NotYet, SenderFault
from services.scheduler import metrics
from services.scheduler.desk import Desk
from services.scheduler.domain import chunk as domain
from services.scheduler.domain import copies, measured, sampling, tries
from services.scheduler.domain import job as jobs
from services.scheduler.domain.agent import Agent, benchmark_of
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.deadlines import judged
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import ChunkState
from services.scheduler.handlers import judging, proving

log = structlog.get_logger()
Outcome = BaseException | None


def register(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.in_batches(FramesStored)
    async def on_frames_stored(batch: list[Received[FramesStored]]) -> list[Outcome]:
        return await stored(desk, batch)

    @inboxes.in_batches(FramesCompleted)
    async def on_frames_completed(batch: list[Received[FramesCompleted]]) -> list[Outcome]:
        return await completed(desk, batch)

    @inboxes.on(FramesRejected)
    async def on_frames_rejected(event: FramesRejected) -> None:
        await rejected(desk, event)

    @inboxes.on(FramesSuperfluous)
    async def on_frames_superfluous(event: FramesSuperfluous) -> None:
        await superfluous(desk, event)

    @inboxes.on(FramesSealed)
    async def on_frames_sealed(event: FramesSealed) -> None:
        """The job was over for us before it was sealed; only one that we do not know yet is worth a second look."""
        await desk.job(event.job, lambda job, _: (job, []))


async def stored(desk: Desk, batch: Sequence[Received[FramesStored]]) -> list[Outcome]:
    """Advance the chunks in one grouped write; then what follows for samples, for jobs that are through, for speeds."""
    found = await desk.chunks.read_many(one.event.chunk for one in batch)
    known = [one for one in batch if one.event.chunk in found]
    now = await desk.now()
    desk.verification.heard(now, desk.policy)
    states = await _advance(desk, known, found, now)
    states |= await _overtake(desk, known, states)
    for one in known:
        desk.learning.note(one.event, _given_at(found[one.event.chunk].state, one.event.attempt), now)
        desk.quoting.note(one.event)
        metrics.FRAMES.labels(one.event.kind).inc(len(one.event.frames))
        if one.event.kind is Kind.SAMPLE:
            with traces.under(one.trace):
                await _sampled(desk, one.event, found[one.event.chunk].state, now)
    for job in {state.job for state in states.values()}:
        desk.progress.touch(job)
    await proving.proved(desk, [(states[one.event.chunk], one.event.attempt) for one in known])
    done = [state for state in states.values() if state.state is ChunkState.COMPLETED]
    for chunk in done:
        desk.learning.done(chunk)
        await judging.completed(desk, chunk)
    for job in {state.job for state in done}:
        await desk.closing.finish(job)
    return [None if one.event.chunk in found else NotYet(f"chunk {one.event.chunk} is not known yet") for one in batch]


def _given_at(chunk: Chunk, attempt: str) -> datetime | None:
    return chunk.holder.at if chunk.holder is not None and chunk.holder.attempt == attempt else None


async def _advance(
    desk: Desk, known: Sequence[Received[FramesStored]], found: dict[str, Saved[Chunk]], now: datetime
) -> dict[str, Chunk]:
    states = {id: saved.state for id, saved in found.items()}
    events: dict[str, list[Event]] = {id: [] for id in found}
    trace = {}
    for one in known:
        id = one.event.chunk
        states[id], more = _brought(states[id], one.event, now)
        events[id] += more
        trace[id] = one.trace
    changes = [Change(found[id], state, events[id], trace[id]) for id, state in states.items() if state != found[id].state]
    for change, won in zip(changes, await desk.chunks.save(changes), strict=True):
        if not won:
            states[change.before.id] = await _advance_alone(desk, change.before.id, known)
    return states


async def _overtake(desk: Desk, known: Sequence[Received[FramesStored]], states: dict[str, Chunk]) -> dict[str, Chunk]:
    """What a copy has brought its original need not, and the other way round. Should a crash forget it, the second picture is
    superfluous and says the same."""
    found: dict[str, Chunk] = {}
    for one in known:
        for twin in copies.twins(states[one.event.chunk]):
            if await desk.chunks.get(twin) is not None:
                with traces.under(one.trace):
                    found[twin] = await desk.chunks.update(twin, _elsewhere(one.event))
    return found


def _elsewhere(event: FramesStored) -> Decide[Chunk]:
    stored = [frame.frame for frame in event.frames]
    return lambda chunk, now: copies.elsewhere(chunk, stored, event.attempt, now)


async def _advance_alone(desk: Desk, chunk: str, known: Sequence[Received[FramesStored]]) -> Chunk:
    metrics.LOST_RACES.labels("frames").inc()
    mine = [one.event for one in known if one.event.chunk == chunk]

    def decide(state: Chunk, now: datetime) -> domain.Decided:
        events: list[Event] = []
        for event in mine:
            state, more = _brought(state, event, now)
            events += more
        return state, events

    return await desk.chunks.update(chunk, decide)


def _brought(chunk: Chunk, event: FramesStored, now: datetime) -> domain.Decided:
    return domain.brought(chunk, event.attempt, event.agent, [frame.frame for frame in event.frames], now)


async def _sampled(desk: Desk, event: FramesStored, chunk: Chunk, now: datetime) -> None:
    agent, board = await desk.agents.get(event.agent), await desk.dispatch.board()
    seconds = measured.seconds(chunk, event.attempt, agent is not None and agent.house, desk.policy.sample_budget, now)
    works = {frame.frame: _work(agent, frame, seconds) for frame in event.frames}
    log.info("sample measured", job=event.job, agent=event.agent, micro_wu=works)

    def decide(job: Job, _: datetime) -> jobs.Decided:
        events: list[Event] = []
        for frame, work in works.items():
            job, more = sampling.sampled(job, frame, event.attempt, event.agent, work, board.speed(job), desk.policy)
            events += more
        return judged((job, events), board.speed(job), board.everybody(), board.now, desk.policy)

    known = await desk.job(event.job, decide)
    if known.is_second_round and not known.version:
        await desk.dispatch.realise(event.job)
        await desk.dispatch.look()


def _work(agent: Agent | None, frame: StoredFrame, seconds: float) -> int:
    if agent is None:
        return 1
    cores = agent.hardware.cores if agent.hardware else 1.0
    return sampling.recognised(frame.cpu_micros, benchmark_of(agent), cores, seconds)


async def completed(desk: Desk, batch: Sequence[Received[FramesCompleted]]) -> list[Outcome]:
    """A sign of life of the attempt, no more; and storage owes a word on them."""
    now = await desk.now()
    outcomes: list[Outcome] = [
        None if is_good(one.event.grant, desk.keys, now) else SenderFault("the grant is not good") for one in batch
    ]
    good = {one.event.grant.chunk: one for one, wrong in zip(batch, outcomes, strict=True) if wrong is None}
    if good:
        desk.verification.claimed(now)
    found = await desk.chunks.read_many(good)
    changes = [Change(saved, domain.alive(saved.state, good[id].event.grant.attempt)) for id, saved in found.items()]
    await desk.chunks.save([change for change in changes if change.state != change.before.state])
    return outcomes


async def rejected(desk: Desk, event: FramesRejected) -> None:
    chunk, agent = await _known(desk, event.chunk), await desk.agents.get(event.agent)
    house = agent is not None and agent.house
    desk.verification.heard(await desk.now(), desk.policy)
    bad = [frame.frame for frame in event.frames]
    log.warning("frames rejected", job=event.job, chunk=event.chunk, agent=event.agent, code=event.frames[0].code)

    def decide(state: Chunk, now: datetime) -> tuple[Chunk, bool]:
        return tries.rejected(state, event.attempt, event.agent, bad, house, now, desk.policy)

    if decide(chunk, await desk.now())[1]:
        first = event.frames[0]
        reason = f"frame {first.frame} did not become the picture that was asked for, also on a house agent: {first.text}"
        await desk.job(event.job, lambda job, _: jobs.failed(job, "frames_rejected", reason, "Check the output settings."))
    await desk.chunks.update(event.chunk, lambda state, now: (decide(state, now)[0], []))


async def superfluous(desk: Desk, event: FramesSuperfluous) -> None:
    chunk = await _known(desk, event.chunk)
    desk.verification.heard(await desk.now(), desk.policy)
    metrics.SUPERFLUOUS.inc(len(event.frames))
    decide, own = copies.superfluous, await _own(desk, chunk, event)
    await desk.chunks.update(
        event.chunk, lambda state, now: decide(state, event.attempt, event.agent, event.version, event.frames, now, own)
    )
    await desk.closing.finish(event.job)


async def _own(desk: Desk, chunk: Chunk, event: FramesSuperfluous) -> frozenset[int]:
    """Those of its frames that the farm does not pay to their owner a second time."""
    original = (await desk.chunks.get(chunk.copy_of) if chunk.copy_of else None) or chunk
    names = copies.twins(original)
    twins = await desk.chunks.read_many(names) if names else {}
    near = [original, *(saved.state for saved in twins.values())]
    known = await desk.agents.read_many({event.agent, *copies.at_work_on(near)})
    owners = {id: saved.state.owner for id, saved in known.items()}
    job = await desk.jobs.get(event.job)
    account = job.account if job is not None else ""
    return copies.of_one_owner(near, event.attempt, event.agent, event.frames, account, owners)


async def _known(desk: Desk, chunk: str) -> Chunk:
    known = await desk.chunks.get(chunk)
    if known is None:
        raise NotYet(f"chunk {chunk} is not known yet")
    return known
