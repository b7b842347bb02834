"""An agent's row of interruptions and failures is broken by what storage has of it, not by its word.

Storage's word comes a moment after the agent's, and often to another process. Agents without a row, nearly all, cost nothing.
"""

from collections.abc import Iterable

from services.chassis.repository import Decide
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as agents
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.states import ChunkState

PROOF = frozenset({Ending.FINISHED, Ending.INCOMPLETE, Ending.LOST})
"""Endings of attempts whose frames have completed a chunk: in time, or after all though they were given up."""


async def proved(desk: Desk, brought: Iterable[tuple[Chunk, str]]) -> None:
    """Chunks as they are after frames of these attempts were stored."""
    shown = {one for chunk, attempt in brought if chunk.state is ChunkState.COMPLETED for one in _proof(chunk, attempt)}
    known = await desk.agents.recall_many({agent for agent, _ in shown}) if shown else {}
    for agent, job in sorted(shown):
        if agent in known and agents.delivered(known[agent].state, job) is not known[agent].state:
            await desk.agents.update(agent, _delivered(job))
            desk.dispatch.stale()


def _proof(chunk: Chunk, attempt: str) -> Iterable[tuple[str, str]]:
    return ((past.agent, chunk.job) for past in chunk.former if past.attempt == attempt and past.why in PROOF)


def _delivered(job: str) -> Decide[Agent]:
    return lambda agent, _: (agents.delivered(agent, job), [])
