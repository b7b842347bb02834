"""What a farm without policy does: the oldest job first, and every agent takes the next so many frames.

The same scheduler otherwise: leases, retries and late frames are as good as ours.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cached_property
from typing import Any

from services.scheduler.dispatch import Dispatch
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board
from services.scheduler.domain.policy import Policy

FRAMES = 10


class FifoBoard(Board):
    def share(self, job: Job) -> int:
        """Says that nobody else will come: a chunk is never made smaller for others."""
        return 1

    @cached_property
    def _rank(self) -> Callable[[str], Any]:
        jobs = self.jobs
        return lambda job: (jobs[job].created_at, job)

    def _at_hand(self, agent: Agent, best: str | None) -> str | None:
        """Whatever bundles it has."""
        return best


class Fifo(Dispatch):
    async def _board(self, busy: Collection[str] = ()) -> Board:
        board = await super()._board(busy)
        return FifoBoard(
            board.now,
            board.policy,
            board.image,
            board.jobs,
            board.fleet,
            board.queued,
            board.running,
            board.served,
            board.known_slots,
        )


def fixed(policy: Policy) -> Policy:
    """Chunks of so many frames, however long they take, and nobody gets a copy."""
    return replace(policy, chunk=10**9, chunk_frames=FRAMES, copy_percent=0)
