"""What time does: leases run out, promises come due, and what a crash left half done is done again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from services.chassis.sweeps import Sweep
from services.scheduler import metrics
from services.scheduler.choosing import Choosing
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as agents
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import deadlines
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.doubts import refuted
from services.scheduler.domain.job import Decided as JobDecided
from services.scheduler.domain.job import Job
from services.scheduler.domain.standing import is_out
from services.scheduler.domain.states import AgentState, ChunkState, JobState
from services.scheduler.folding import Sweeping, one_by_one, owned_up
from services.scheduler.gate import Gate
from services.scheduler.leases import Hearing, Leases
from services.scheduler.progress import remaining
from services.scheduler.quarantine import Quarantine
from services.scheduler.traffic import LOOK_SECONDS, MAILBOX_SECONDS, Traffic

log = structlog.get_logger()


class Repairs:
    """Does again what a crash may have left half done."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sweep(self) -> None:
        """One job that cannot be repaired keeps no other from it."""
        cut = [job.job for job in await self._desk.jobs.with_cuts() if not self._desk.dispatch.has_inserted(job)]
        wrong = await one_by_one(cut, self._desk.dispatch.realise)
        wrong += await one_by_one(await self._desk.jobs.nearly_rendered(), self._desk.closing.finish)
        open_jobs = await self._desk.chunks.jobs_with_open()
        unsettled = [*await self._desk.jobs.not_working(open_jobs), *await self._desk.jobs.leaving_out()]
        jobs = {job.job: job for job in unsettled}
        wrong += await one_by_one(jobs, lambda id: self._desk.closing.settle(jobs[id]))
        wrong += await self._unheld()
        self._desk.progress.waiting((await self._desk.dispatch.board()).waits())
        owned_up(wrong)

    async def _unheld(self) -> list[Exception]:
        """Attempts that their agents' documents do not know: the slot was freed and the chunk was not."""
        wait = self._desk.policy.after("pickup")
        held = await self._desk.chunks.held(await self._desk.now() - wait)
        found = await self._desk.agents.read_many({agent for _, _, agent in held})
        lost = [(id, attempt) for id, attempt, by in held if by not in found or not agents.holds(found[by].state, attempt)]
        return await one_by_one(lost, self._unhold)

    async def _unhold(self, held: tuple[str, str]) -> None:
        """What its agent may have completed waits for the timer."""
        chunk, attempt = held
        await self._desk.chunks.update(chunk, lambda state, at: (chunks.said_done(state, attempt, at), []))


class Promises:
    """Deadlines that pass, quarantines that end, doubts that a crash left open."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sweep(self) -> None:
        """Time passes for those too whose turn may not come now."""
        board, sweeping = await self._desk.dispatch.board(), Sweeping()
        everybody = [*board.everybody().values(), *await self._desk.jobs.held_up_beyond(board.now)]
        late = {job.job: job for job in everybody if deadlines.is_late(job, board.now)}
        await sweeping.each(late, lambda job: self._missed(job, board.speed(job)))
        await sweeping.each({job.job: job for job in board.jobs.values() if job.doubts.open}, self._doubts)
        out = (one for one in board.fleet if one.standing.until is not None and not is_out(one.standing, board.now))
        await sweeping.each({agent.agent: agent for agent in out}, self._forgive)
        sweeping.owned_up()

    async def _forgive(self, agent: Agent) -> None:
        await self._desk.agents.update(agent.agent, _forgiven(self._desk.policy.image))
        self._desk.dispatch.stale()

    async def _missed(self, job: Job, speed: int) -> None:
        stored = (await self._desk.chunks.tally(job.job)).stored
        left, lacking = remaining(job, stored, speed), max(0, job.total - stored)
        is_told = False

        def decide(state: Job, at: datetime) -> JobDecided:
            nonlocal is_told
            after, events = deadlines.missed(state, lacking, left, at)
            is_told = after.missed != state.missed
            return after, events

        await self._desk.jobs.update(job.job, decide)
        if is_told:  # by us; the board may be older than another process's word
            metrics.DEADLINES.labels("missed").inc()
            log.warning("deadline missed", job=job.job, account=job.account, lacking=lacking)
        self._desk.dispatch.stale()

    async def _doubts(self, job: Job) -> None:
        found = await self._desk.chunks.read_many(one.chunk for one in job.doubts.open)
        for one in found.values():
            if not chunks.is_open(one.state):
                await self._desk.jobs.update(job.job, _refuted(one.id))


def _refuted(chunk: str) -> Callable[[Job, datetime], JobDecided]:
    return lambda job, _: (replace(job, doubts=refuted(job.doubts, chunk)), [])


def _forgiven(image: str) -> Callable[[Agent, datetime], agents.Decided]:
    """Its time is over; `image` is the farm's."""

    def decide(agent: Agent, now: datetime) -> agents.Decided:
        if agent.standing.until is None or is_out(agent.standing, now):
            return agent, []
        return agents.judged(agent, replace(agent.standing, until=None), image)

    return decide


class Gauges:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sweep(self) -> None:
        for gauge, states, counts in (
            (metrics.JOBS, JobState, await self._desk.jobs.counts()),
            (metrics.CHUNKS, ChunkState, await self._desk.chunks.counts()),
            (metrics.AGENTS, AgentState, await self._desk.agents.counts()),
        ):
            for state in states:
                gauge.labels(state).set(counts.get(state, 0))


def sweeps(desk: Desk, hearing: Hearing, gate: Gate, quarantine: Quarantine, traffic: Traffic, choosing: Choosing) -> list[Sweep]:
    leases, repairs, gauges = Leases(desk, hearing), Repairs(desk), Gauges(desk)
    return [
        Sweep("leases", 2, leases.sweep),
        Sweep("look", 2, desk.dispatch.look),
        Sweep("repairs", 5, repairs.sweep),
        Sweep("promises", 2, Promises(desk).sweep),
        Sweep("access", 5, gate.sweep),
        Sweep("quarantine", 5, quarantine.sweep),
        Sweep("offers", 5, choosing.sweep),
        Sweep("traffic", LOOK_SECONDS, traffic.sweep),
        Sweep("mailboxes", MAILBOX_SECONDS, traffic.mailboxes),
        Sweep("progress", 1, desk.progress.tell),
        Sweep("learning", 2, desk.learning.fold),
        Sweep("quotes", 2, desk.quoting.fold),
        Sweep("gauges", 5, gauges.sweep),
    ]
