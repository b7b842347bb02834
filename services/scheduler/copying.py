"""Gives copies of the slowest chunks to idle agents at the end of a job (domain.copies says which, and why).

The job pays first: what its copies are worth together is bounded over all processes, pauses and restarts. Then the original is
written, on the version that was read: who wins that makes the copy. A crash after either leaves a number that is too high; a slot
reserved for a copy that was never made is freed as any other.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog

from contracts.bus import new_id
from services.chassis import traces
from services.chassis.pending import Told
from services.chassis.repository import Change, Decision, New, Saved
from services.scheduler import metrics
from services.scheduler.domain import agent as agents
from services.scheduler.domain import copies, deadlines
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.assignment import assigned
from services.scheduler.domain.chunk import Chunk, claimed
from services.scheduler.domain.copies import Copy
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board
from services.scheduler.repository import Agents, Chunks, Jobs

log = structlog.get_logger()


@dataclass(frozen=True)
class Given:
    """The agent with its slot taken, and what is to be told."""

    agent: Agent
    job: str
    told: list[Told]


class Copying:
    def __init__(self, jobs: Jobs, chunks: Chunks, agents: Agents) -> None:
        self._jobs, self._chunks, self._agents = jobs, chunks, agents

    async def copy(self, board: Board) -> list[Given]:
        ending = [job.job for job in board.jobs.values() if copies.is_ending(job)]
        if not ending or not any(agents.free_slots(agent) and not agent.house for agent in board.fleet):
            return []
        held = {saved.id: saved for saved in await self._chunks.held_of(ending)}
        wanted = copies.chosen(board, [saved.state for saved in held.values()])
        given = [await self._give(board, held[one.original.chunk], one) for one in wanted]
        return [one for one in given if one is not None]

    async def pressed(self, board: Board) -> set[str]:
        """Idle agents kept for copies of chunks that endanger a deadline, before anybody's new work: at the next look."""
        due = [job.job for job in board.jobs.values() if copies.is_ending(job) and deadlines.is_due(job)]
        if not due:
            return set()
        held = [saved.state for saved in await self._chunks.held_of(due)]
        return {one.agent.agent for one in copies.chosen(board, held, only_pressed=True)}

    async def _give(self, board: Board, original: Saved[Chunk], one: Copy) -> Given | None:
        """Slot, price, original, copy, in this order. None when somebody was faster."""
        hand = Hand(new_id(), one.copy.chunk, one.copy.job, board.now)
        agent = await self._agents.update(one.agent.agent, lambda state, _: (_reserved(state, hand), []))
        if not agents.holds(agent, hand.attempt):
            return None
        told = await self._made(board, original, one, agent, hand) if await self._charge(board, one) else None
        if told is None:
            metrics.LOST_RACES.labels("copy").inc()
            await self._agents.update(agent.agent, lambda state, _: (agents.freed(state, hand.attempt), []))
            return None
        metrics.COPIES.inc()
        log.info("chunk copied", job=one.copy.job, chunk=one.copy.chunk, attempt=hand.attempt, agent=agent.agent)
        return Given(agent, one.copy.job, told)

    async def _charge(self, board: Board, one: Copy) -> bool:
        is_paid = False

        def decide(job: Job, _: datetime) -> Decision[Job]:
            nonlocal is_paid
            after = copies.charged(job, one.work, board.policy)
            is_paid = after is not job
            return after, []

        await self._jobs.update(one.copy.job, decide)
        return is_paid

    async def _made(self, board: Board, original: Saved[Chunk], one: Copy, agent: Agent, hand: Hand) -> list[Told] | None:
        trace = board.jobs[one.copy.job].trace
        won, _ = await self._chunks.write([Change(original, copies.copied(original.state), (), trace)])
        added, told = await self._insert(board, one, agent, hand) if won[0] else ([False], [])
        if added[0]:
            return told
        await self._jobs.update(one.copy.job, lambda job, _: (copies.refunded(job, one.work), []))
        return None

    async def _insert(self, board: Board, one: Copy, agent: Agent, hand: Hand) -> tuple[list[bool], list[Told]]:
        job = board.jobs[one.copy.job]
        holder, told = assigned(job, one.copy, agent, hand.attempt, board.image, board.now, board.policy)
        with traces.under(job.trace):
            return await self._chunks.insert([New(one.copy.chunk, claimed(one.copy, holder), (told,), job.trace)])


def _reserved(agent: Agent, hand: Hand) -> Agent:
    return agents.reserved(agent, [hand]) if agents.free_slots(agent) else agent
