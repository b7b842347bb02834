"""What time does: silent agents lose their leases, overdue attempts end, and what a crash left half done is done again.

While the broker is away nobody can be heard, and after it is back what was said meanwhile is still in the inboxes. So no lease
and no timer runs out on account of our own deafness: silence counts from the moment we could hear again. Of several shards each
judges only those it hears.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from services.chassis.repository import Unknown
from services.chassis.sweeps import Sweep
from services.scheduler import metrics
from services.scheduler.choosing import Choosing
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as agents
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import deadlines
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, Decided, Ending
from services.scheduler.domain.doubts import refuted
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.job import Decided as JobDecided
from services.scheduler.domain.job import Job
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.standing import is_out
from services.scheduler.domain.states import AgentState, ChunkState, JobState
from services.scheduler.gate import Gate
from services.scheduler.progress import remaining
from services.scheduler.quarantine import Quarantine
from services.scheduler.traffic import LOOK_SECONDS, Traffic

log = structlog.get_logger()


ASLEEP = timedelta(seconds=10)
"""A sweep that comes so late was held up with everything else here: process stopped, machine suspended, database away."""


class Hearing:
    """Since when the broker has been there without a break, and we awake to listen. Asked at every sweep."""

    def __init__(self, is_connected: Callable[[], bool]) -> None:
        self._is_connected = is_connected
        self._since: datetime | None = None
        self._asked: datetime | None = None

    def since(self, now: datetime) -> datetime:
        slept = self._asked is not None and now - self._asked > ASLEEP
        self._asked = now
        if self._since is None or slept or not self._is_connected():
            self._since = now
        return self._since


class Leases:
    """Ends what nobody keeps alive."""

    def __init__(self, desk: Desk, hearing: Hearing) -> None:
        self._desk, self._hearing = desk, hearing

    async def sweep(self) -> None:
        now = await self._desk.now()
        heard_since, policy = self._hearing.since(now), self._desk.policy
        freed = 0
        if now - heard_since > policy.after("lease"):
            freed += await self._silent_agents(now)
        if now - heard_since > policy.after("settle"):
            freed += await self._unfinished(now)
        freed += await self._vanished_hands(now, was_heard=now - heard_since > policy.after("pickup"))
        freed += await self._overdue(now)
        if freed:
            await self._desk.dispatch.look()

    async def _silent_agents(self, now: datetime) -> int:
        """Chunks first: a crash before the agent is written repeats it."""
        found = await self._desk.agents.silent(now - self._desk.policy.after("lease"))
        silent = [saved for saved in found if self._desk.shard.hears(saved.id)]
        for saved in silent:
            log.warning("agent lost", agent=saved.id, attempts=len(saved.state.hands))
            for hand in saved.state.hands:
                await self._lose(hand, "agent silent")
            await self._desk.agents.update(saved.id, lambda agent, at: self._lost(agent, at))
        return len(silent)

    def _lost(self, agent: Agent, now: datetime) -> agents.Decided:
        """Unless it was heard in the meantime."""
        if agent.seen_at is not None and now - agent.seen_at <= self._desk.policy.after("lease"):
            return agent, []
        for hand in agent.hands:
            agent = agents.interrupted(agent, hand.job, now, self._desk.policy)
        return agents.lost(agent)

    async def _vanished_hands(self, now: datetime, was_heard: bool) -> int:
        """Attempts that never arrived or were dropped without a word, and slots reserved for a claim that never came."""
        heard = [saved.state for saved in await self._desk.agents.heard() if self._desk.shard.hears(saved.id)]
        unclaimed = await self._unclaimed(heard, now)
        return sum([await self._vanished_of(agent, now, was_heard, unclaimed) for agent in heard])

    async def _vanished_of(self, agent: Agent, now: datetime, was_heard: bool, unclaimed: set[str]) -> int:
        policy = self._desk.policy
        gone = {hand.attempt for hand in agents.vanished(agent, now, policy)} if was_heard else set()
        gone |= unclaimed.intersection(hand.attempt for hand in agent.hands)
        for hand in agent.hands:
            if hand.attempt in gone:
                await self._lose(hand, "attempt vanished")
        if gone:
            await self._desk.agents.update(agent.agent, lambda state, at: (_without(state, gone, at, policy), []))
        return len(gone)

    async def _unclaimed(self, heard: Sequence[Agent], now: datetime) -> set[str]:
        """One question for all agents."""
        wait = self._desk.policy.after("unclaimed")
        young = [hand for agent in heard for hand in agent.hands if not hand.heard and now - hand.since > wait]
        found = await self._desk.chunks.current(hand.chunk for hand in young) if young else {}
        return {hand.attempt for hand in young if hand.chunk not in found or not _holds(found[hand.chunk].state, hand.attempt)}

    async def _unfinished(self, now: datetime) -> int:
        """Their agents said they were done; not every frame came."""
        found = await self._desk.chunks.done_before(now - self._desk.policy.after("settle"))
        late = [chunk for chunk in found if self._is_late(chunk, now)]
        for chunk in late:
            await self._incomplete(chunk.chunk, chunk.holder.attempt if chunk.holder else "")
        return len(late)

    def _is_late(self, chunk: Chunk, now: datetime) -> bool:
        done_at = chunk.holder.done_at if chunk.holder else None
        return done_at is not None and self._desk.verification.is_overdue(done_at, now, self._desk.policy)

    async def _incomplete(self, chunk: str, attempt: str) -> None:
        log.warning("attempt incomplete", chunk=chunk, attempt=attempt)
        await self._end(chunk, lambda state, at: (chunks.gave_up(state, attempt, Ending.INCOMPLETE, at), []))

    async def _overdue(self, now: datetime) -> int:
        late = await self._desk.chunks.overdue(now)
        for chunk in late:
            await self._void(chunk.chunk, chunk.holder.attempt if chunk.holder else "")
        return len(late)

    async def _void(self, chunk: str, attempt: str) -> None:
        log.warning("attempt overdue", chunk=chunk, attempt=attempt)
        metrics.VOIDED.labels("hard end").inc()
        await self._end(chunk, lambda state, at: chunks.timed_out(state, attempt, at))

    async def _lose(self, hand: Hand, why: str) -> None:
        metrics.VOIDED.labels(why).inc()
        await self._end(hand.chunk, lambda chunk, at: (chunks.gave_up(chunk, hand.attempt, Ending.LOST, at), []))

    async def _end(self, chunk: str, decide: Callable[[Chunk, datetime], Decided]) -> None:
        try:
            await self._desk.chunks.update(chunk, decide)
        except Unknown:
            log.info("a slot was reserved for a chunk that was never inserted", chunk=chunk)


class Repairs:
    """Does again what a crash may have left half done."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sweep(self) -> None:
        for job in await self._desk.jobs.with_cuts():
            if not self._desk.dispatch.has_inserted(job):
                await self._desk.dispatch.realise(job.job)
        for id in await self._desk.jobs.nearly_rendered():
            await self._desk.closing.finish(id)
        open_jobs = await self._desk.chunks.jobs_with_open()
        for job in [*await self._desk.jobs.not_working(open_jobs), *await self._desk.jobs.leaving_out()]:
            await self._desk.closing.settle(job)
        await self._unheld()
        self._desk.progress.waiting((await self._desk.dispatch.board()).waits())

    async def _unheld(self) -> None:
        """Attempts that their agents' documents do not know: the slot was freed and the chunk was not."""
        wait = self._desk.policy.after("pickup")
        held = await self._desk.chunks.held(await self._desk.now() - wait)
        found = await self._desk.agents.read_many({agent for _, _, agent in held})
        for chunk, attempt, agent in held:
            if agent not in found or not agents.holds(found[agent].state, attempt):
                await self._unhold(chunk, attempt)

    async def _unhold(self, chunk: str, attempt: str) -> None:
        """What its agent may have completed waits for the timer."""
        await self._desk.chunks.update(chunk, lambda state, at: (chunks.said_done(state, attempt, at), []))


class Promises:
    """Deadlines that pass, quarantines that end, doubts that a crash left open."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sweep(self) -> None:
        board = await self._desk.dispatch.board()
        for job in board.jobs.values():
            if deadlines.is_late(job, board.now):
                await self._missed(job, board.speed(job))
            if job.doubts.open:
                await self._doubts(job)
        for agent in board.fleet:
            if agent.standing.until is not None and not is_out(agent.standing, board.now):
                await self._desk.agents.update(agent.agent, _forgiven)
                self._desk.dispatch.stale()

    async def _missed(self, job: Job, speed: int) -> None:
        stored = (await self._desk.chunks.tally(job.job)).stored
        left, lacking = remaining(job, stored, speed), max(0, job.total - stored)
        after = await self._desk.jobs.update(job.job, lambda state, at: deadlines.missed(state, lacking, left, at))
        if after.missed != job.missed:
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


def _forgiven(agent: Agent, now: datetime) -> agents.Decided:
    """Its time is over."""
    if agent.standing.until is None or is_out(agent.standing, now):
        return agent, []
    return agents.judged(agent, replace(agent.standing, until=None))


def _without(agent: Agent, gone: set[str], now: datetime, policy: Policy) -> Agent:
    for hand in [hand for hand in agent.hands if hand.attempt in gone]:
        agent = agents.interrupted(agents.freed(agent, hand.attempt), hand.job, now, policy)
    return agent


def _holds(chunk: Chunk, attempt: str) -> bool:
    return chunks.is_held_by(chunk, attempt)


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
        Sweep("progress", 1, desk.progress.tell),
        Sweep("learning", 2, desk.learning.fold),
        Sweep("quotes", 2, desk.quoting.fold),
        Sweep("gauges", 5, gauges.sweep),
    ]
