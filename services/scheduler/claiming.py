"""Writes what rounds have decided: chunks for slots that are reserved, and marks on chunks that have ended.

Rounds decide one after the other; the chunks of one are written while the next one decides. Until that is done nobody here gives
them out, and nobody takes those that are still to be inserted for lost.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Set

import structlog

from services.chassis.pending import Told
from services.scheduler import metrics
from services.scheduler.domain import agent as agents_domain
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.job import Job
from services.scheduler.placing import Placed, Round
from services.scheduler.repository import Agents, Chunks

log = structlog.get_logger()
Known = defaultdict[str, set[str]]
"""Job → chunks of it."""
REMEMBERED = 8
"""Refreshments, of one or two a second, for which a chunk that its job has forgotten is known to be there: a repair may hold a
job that was read before it waited for its turn."""


class Claiming:
    def __init__(self, chunks: Chunks, agents: Agents) -> None:
        self._chunks, self._agents = chunks, agents
        self._under_way: dict[Round, asyncio.Event] = {}
        self._inserted: Known = defaultdict(set)
        self._forgotten: deque[Known] = deque([defaultdict(set)], maxlen=REMEMBERED)

    # --- rounds under way

    def begin(self, round: Round) -> None:
        """It will be written; what it writes is in its hands from now on."""
        self._under_way[round] = asyncio.Event()

    def busy(self) -> set[str]:
        """Chunks that are being written."""
        return {change.before.id for round in self._under_way for change in round.changes}

    async def settled(self) -> None:
        """Returns when every round that has begun is written, or has failed."""
        for written in list(self._under_way.values()):
            await written.wait()

    async def write(self, round: Round) -> tuple[list[bool], list[Told], list[Agent]]:
        """Which changes were saved, what is to be told now that they are, and agents whose chunk another was faster to take."""
        try:
            (saved, told), (added, more) = await self._both(round)
        finally:
            self._under_way.pop(round, asyncio.Event()).set()
        for new in round.fresh:
            self._inserted[new.job.job].add(new.chunk.chunk)
        marks = len(saved) - len(round.taken)
        outcomes = [*zip(round.taken, saved[marks:], strict=True), *zip(round.fresh, added, strict=True)]
        lost = [one for one, good in outcomes if not good and one.hand.attempt in round.won]
        for one, good in outcomes:
            if good and one.hand.attempt in round.won:
                _note(one)
        return saved, [*told, *more], [await self._free(one) for one in lost]

    async def _both(self, round: Round) -> tuple[tuple[list[bool], list[Told]], tuple[list[bool], list[Told]]]:
        """Side by side where there is something of both: most rounds have one of them, or nothing."""
        if round.changes and round.new:
            return await asyncio.gather(self._chunks.write(round.changes), self._chunks.insert(round.new))
        return await self._chunks.write(round.changes), await self._chunks.insert(round.new)

    async def _free(self, one: Placed) -> Agent:
        metrics.LOST_RACES.labels("chunk").inc()
        attempt = one.hand.attempt
        return await self._agents.update(one.agent, lambda agent, _: (agents_domain.freed(agent, attempt), []))

    # --- chunks that exist because this process has inserted them

    def has_inserted(self, job: Job) -> bool:
        """True when that is every chunk that the job's cuts promise, also as they stood a moment ago."""
        known = (self._inserted, *self._forgotten)
        return {one.chunk for one in job.cuts} <= set().union(*(kept.get(job.job, ()) for kept in known))

    def inserted(self, job: str) -> frozenset[str]:
        return frozenset(self._inserted[job])

    def forget(self, job: str, chunks: Set[str]) -> None:
        """The job does not name them any more. Whoever has just read it may still find them there."""
        self._inserted[job] -= chunks
        self._forgotten[0][job] |= chunks

    def forget_all_but(self, jobs: Collection[str]) -> None:
        """What was forgotten long ago is gone for good."""
        self._inserted = defaultdict(set, {job: ids for job, ids in self._inserted.items() if job in jobs})
        self._forgotten.appendleft(defaultdict(set))


def _note(one: Placed) -> None:
    metrics.ASSIGNED.labels(one.chunk.kind).inc()
    log.info("chunk assigned", job=one.job.job, chunk=one.chunk.chunk, attempt=one.hand.attempt, agent=one.agent)
