"""How attempts end other than well, and the two kinds of attempt that bring answers instead of frames."""

from dataclasses import replace
from datetime import datetime

import structlog

from contracts.changes import Support
from contracts.events import ChunkFailed, ChunkReleased, Event, Fault, InspectionReported, JobInspected, ProbeMeasured, Release
from contracts.values import Kind, frames
from services.chassis.inbox import Inboxes
from services.chassis.verdicts import SenderFault
from services.scheduler import vain
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as agents
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import doubts, measured, memory, sampling, tries, words
from services.scheduler.domain import job as jobs
from services.scheduler.domain.agent import Agent, benchmark_of
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.deadlines import judged
from services.scheduler.domain.doubts import Doubt
from services.scheduler.domain.inspection import inspected
from services.scheduler.domain.job import Decided, Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import JobState
from services.scheduler.handlers import judging
from services.scheduler.metrics import FINDINGS, VERDICTS

log = structlog.get_logger()


def register(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.on(InspectionReported)
    async def on_inspection_reported(event: InspectionReported) -> None:
        await desk.check(event.grant)
        await inspection_reported(desk, event)

    @inboxes.on(ProbeMeasured)
    async def on_probe_measured(event: ProbeMeasured) -> None:
        await desk.check(event.grant)
        await probe_measured(desk, event)

    @inboxes.on_agent(ChunkFailed)
    async def on_chunk_failed(agent: str, event: ChunkFailed) -> None:
        await chunk_failed(desk, agent, event)

    @inboxes.on_agent(ChunkReleased)
    async def on_chunk_released(agent: str, event: ChunkReleased) -> None:
        await chunk_released(desk, agent, event)


async def inspection_reported(desk: Desk, event: InspectionReported) -> None:
    if event.grant.kind is not Kind.INSPECT:
        raise SenderFault("the grant is not for an inspection")
    agent = await desk.agent(event.grant.agent)
    work = _work(agent, event.cpu_micros, desk.policy.inspect_budget)
    largest = await _largest(desk)

    def decide(job: Job, _: datetime) -> Decided:
        job, events = inspected(job, event, work, largest)
        if jobs.stage(job) is not JobState.INSPECTING or job.picture is None:
            return job, events
        job, more = sampling.begun(job, desk.policy)
        return job, [*events, *more]

    told: list[Event] = []

    def heard(job: Job, now: datetime) -> Decided:
        told[:] = (decided := decide(job, now))[1]
        return decided

    await desk.job(event.grant.job, heard)
    _counted(told)
    await _answered(desk, event.grant.chunk, event.grant.attempt)
    await desk.dispatch.realise(event.grant.job)
    await desk.dispatch.look()


def _counted(told: list[Event]) -> None:
    for one in told:
        if isinstance(one, JobInspected):
            VERDICTS.labels(one.support or Support.UNSUPPORTED).inc()
            for finding in one.findings:
                FINDINGS.labels(finding.code, finding.severity).inc()


async def probe_measured(desk: Desk, event: ProbeMeasured) -> None:
    if event.grant.kind is not Kind.PROBE or not event.grant.allows(event.frame):
        raise SenderFault("the grant is not for probing this frame")
    agent, chunk = await desk.agent(event.grant.agent), await desk.chunks.get(event.grant.chunk)
    seconds = measured.seconds(chunk, event.grant.attempt, agent.house, desk.policy.sample_budget, await desk.now())
    work = _work(agent, event.cpu_micros, seconds)
    await _probed(desk, event.grant.job, event.frame, event.grant.attempt, agent.agent, work)
    await _answered(desk, event.grant.chunk, event.grant.attempt)


async def chunk_failed(desk: Desk, agent: str, event: ChunkFailed) -> None:
    """What is final is written on the job first: a crash before the chunk is written repeats it."""
    chunk, known = await desk.chunk_of(agent, event.job, event.chunk, event.attempt), await desk.agent(agent)
    log.warning(
        "chunk failed", job=event.job, chunk=event.chunk, agent=agent, fault=event.fault, frame=event.frame, text=event.text
    )
    is_frames = await _is_over_budget(desk, chunk, known, event)
    if chunks.is_held_by(chunk, event.attempt):
        await (_over_budget if is_frames else _tried)(desk, chunk, known, event)
    await desk.agents.update(agent, lambda state, now: (_failed_at(state, event, is_frames, now, desk.policy), []))
    await desk.dispatch.look()


async def _is_over_budget(desk: Desk, chunk: Chunk, agent: Agent, event: ChunkFailed) -> bool:
    """A sample or a probe that takes longer than it may; said before that can be it is a failure like any other."""
    if event.fault is not Fault.TIME or chunk.kind not in (Kind.SAMPLE, Kind.PROBE):
        return False
    return measured.is_used_up(chunk, event.attempt, agent.house, desk.policy.sample_budget, await desk.now())


def _failed_at(agent: Agent, event: ChunkFailed, is_frames: bool, now: datetime, policy: Policy) -> Agent:
    """Lack of memory is the chunk's affair, and a sample over its budget the frame's."""
    is_its_own = event.fault is not Fault.MEMORY and not is_frames
    if not agents.holds(agent, event.attempt) or agent.house or not is_its_own:
        return agents.freed(agent, event.attempt)
    return agents.failed(agents.freed(agent, event.attempt), event.job, now, policy)


async def _largest(desk: Desk) -> int:
    """Most memory that a machine has."""
    return max((one.hardware.memory_bytes for one in (await desk.dispatch.board()).fleet if one.hardware), default=0)


async def _tried(desk: Desk, chunk: Chunk, agent: Agent, event: ChunkFailed) -> None:
    to_house = await _is_doubted(desk, chunk, agent, event.fault) or await _is_short(desk, chunk, agent, event.fault)

    def decide(state: Chunk, now: datetime) -> tuple[Chunk, bool]:
        fault, frame, by_house = event.fault, event.frame, agent.house
        return tries.failed(state, event.attempt, fault, frame, by_house, now, desk.policy, event.delivered, to_house)

    if decide(chunk, await desk.now())[1]:
        await desk.job(chunk.job, lambda job, _: _failed(job, chunk, event))
    await desk.chunks.update(chunk.chunk, lambda state, now: (decide(state, now)[0], []))


async def _is_doubted(desk: Desk, chunk: Chunk, agent: Agent, fault: Fault) -> bool:
    """Whether the house is to look at the scene now."""
    if agent.house:
        if fault is not Fault.SCENE:
            await judging.refuted(desk, chunk)
        return False
    if fault is not Fault.SCENE:
        return False
    new = Doubt(agent.owner, chunk.chunk)
    job = await desk.job(chunk.job, lambda job, _: (replace(job, doubts=doubts.raised(job.doubts, new.owner, new.chunk)), []))
    return new in job.doubts.open


async def _is_short(desk: Desk, chunk: Chunk, agent: Agent, fault: Fault) -> bool:
    """Whether the house is to see now how much memory it takes."""
    if fault is not Fault.MEMORY or chunk.kind not in (Kind.SAMPLE, Kind.RENDER):
        return False
    largest = await _largest(desk)
    lack = memory.Lack(agent.owner, agent.house, chunk.chunk, agent.hardware.memory_bytes if agent.hardware else 0)
    job = await desk.job(chunk.job, lambda job, _: memory.ran_out(job, lack, largest))
    return memory.is_to_be_tried(job, chunk.chunk)


async def _over_budget(desk: Desk, chunk: Chunk, agent: Agent, event: ChunkFailed) -> None:
    seconds = measured.seconds(chunk, event.attempt, agent.house, desk.policy.sample_budget, await desk.now())
    work = _work(agent, event.cpu_micros, seconds)
    frame = next(frames(chunk.frames))
    if chunk.kind is Kind.PROBE:
        await _probed(desk, chunk.job, frame, event.attempt, agent.agent, work)
    else:
        decide = sampling.over_budget
        await desk.job(chunk.job, lambda job, _: decide(job, frame, event.attempt, agent.agent, work, desk.policy))
    await desk.chunks.update(chunk.chunk, lambda state, now: (chunks.abandoned(state, event.attempt, now), []))
    await desk.dispatch.realise(chunk.job)


async def _probed(desk: Desk, job: str, frame: int, attempt: str, agent: str, work: int) -> None:
    board = await desk.dispatch.board()

    def decide(state: Job, _: datetime) -> Decided:
        after, events = sampling.probed(state, frame, attempt, agent, work, board.speed(state), desk.policy)
        return judged((after, events), board.speed(after), board.everybody(), board.now, desk.policy)

    await desk.job(job, decide)


async def chunk_released(desk: Desk, agent: str, event: ChunkReleased) -> None:
    """An interruption: no try is counted. The agent gets nothing more until it says it is ready."""
    chunk = await desk.chunk_of(agent, event.job, event.chunk, event.attempt)
    log.info("chunk released", job=event.job, chunk=event.chunk, agent=agent, reason=event.reason, text=event.text)
    is_in_vain = await _is_in_vain(desk, chunk, event)

    def given_back(state: Chunk, now: datetime) -> chunks.Decided:
        known = tries.in_vain(state, event.attempt, now) if is_in_vain else state
        return chunks.left(known, event.attempt, Ending.GIVEN_BACK, event.delivered, now), []

    await desk.chunks.update(event.chunk, given_back)

    def released(state: Agent, now: datetime) -> agents.Decided:
        if not agents.holds(state, event.attempt):
            return state, []
        return agents.interrupted(agents.gave_back(state, event.attempt, now), event.job, now, desk.policy), []

    await desk.agents.update(agent, released)
    await desk.dispatch.look()


async def _is_in_vain(desk: Desk, chunk: Chunk, event: ChunkReleased) -> bool:
    """The house agent could not get the bundle; or it ended while it looked at the file, as it may do each time."""
    vain_ones = (Release.NETWORK, Release.STOPPED) if chunk.kind is Kind.INSPECT else (Release.NETWORK,)
    if event.reason not in vain_ones or event.delivered or not chunks.is_held_by(chunk, event.attempt):
        return False
    return await vain.ending(desk, chunk)


def _failed(job: Job, chunk: Chunk, event: ChunkFailed) -> Decided:
    said = words.reason(chunk.kind, event)
    return jobs.failed(job, f"{event.fault}_fault", said, words.hint(event), event.log_tail)


def _work(agent: Agent, cpu_micros: int, seconds: float) -> int:
    cores = agent.hardware.cores if agent.hardware else 1.0
    return sampling.recognised(cpu_micros, benchmark_of(agent), cores, seconds)


async def _answered(desk: Desk, chunk: str, attempt: str) -> None:
    if await desk.chunks.get(chunk) is not None:
        await desk.chunks.update(chunk, lambda state, now: chunks.answered(state, attempt, now))
