"""Queued chunks as this process remembers them: all of them, or a page (domain.paging says of which jobs)."""

import asyncio

from services.chassis.repository import Saved
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.matching import Board
from services.scheduler.domain.paging import could_take, page
from services.scheduler.repository import Chunks

MOST = 200
LEAST = 5
"""Of one job, the longest waiting, when not all can be looked at; of those for the house and of the others so many each, for
while the house is away its own would hide all others of the job."""


class Waiting:
    """`chunks` belongs to whoever takes one: it leaves."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks, self.chunks = chunks, dict[str, Saved[Chunk]]()
        self._low, self._after = -1, ""

    async def read(self, board: Board) -> None:
        """Of the open jobs of `board`."""
        found = await self._chunks.queued(board.jobs, MOST) if board.jobs else []
        if len(found) == MOST:
            found = await self._page(board)
            self._low = len(found) // 2
        else:
            self._low = -1
        self.chunks = {saved.id: saved for saved in found}

    def is_low(self) -> bool:
        """There are more than were read, and most of those are gone."""
        return len(self.chunks) <= self._low

    async def _page(self, board: Board) -> list[Saved[Chunk]]:
        jobs = sorted(board.jobs.keys() & await self._chunks.jobs_queued())
        chosen, self._after = page(jobs, self._after, could_take(board))
        each = max(LEAST, MOST // max(1, len(chosen)))
        asked = [self._chunks.queued([job], each, house) for job in chosen for house in (False, True)]
        return [saved for found in await asyncio.gather(*asked) for saved in found]
