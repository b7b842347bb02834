"""Gives chunks to agents: the one place where slots and chunks are claimed.

Theory. First the agent's slot is reserved, then the chunk is claimed, both by conditional writes; what is lost on the way is
freed again by naming the attempt. Rounds decide and reserve one after the other in this process (a lock); while the chunks of
one are written (claiming) the next has its turn. Other processes are fenced by the writes. Whoever wrote a ready slot or an open
chunk calls `look` *after* writing: one of the two sees the other, or a sweep does.
A chunk cut for an agent is inserted already claimed: the stretch left the job's `uncut` before, under an id that follows from it.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import structlog

from contracts.bus import new_id
from contracts.events import ChunkAssigned
from contracts.shards import UNDIVIDED, Shard
from services.chassis.pending import Told
from services.chassis.repository import Change, Decision, New, Saved
from services.scheduler import metrics
from services.scheduler.claiming import Claiming
from services.scheduler.copying import Copying
from services.scheduler.domain import agent as agents_domain
from services.scheduler.domain import chunk as chunks_domain
from services.scheduler.domain import pace
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.assignment import assigned
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.copies import is_ending
from services.scheduler.domain.cutting import chunk_of, without_cuts
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.holding import Holder
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board, Offer
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.wishes import may_begin
from services.scheduler.parcelling import Parcelling, Wish
from services.scheduler.placing import Asking, Placed, Round, as_it_is, with_gpus
from services.scheduler.repository import Agents, Chunks, Jobs
from services.scheduler.waiting import Waiting

log = structlog.get_logger()
FRESH_SECONDS = 1.0
"""How old the lists of open jobs, of agents and of queued chunks may be."""


class Dispatch:
    """`monotonic` tells how old is what this process remembers. Of idle agents only those of its own shard are looked at: their
    next words come here, and two shards that give one slot would only write against each other."""

    def __init__(
        self,
        jobs: Jobs,
        chunks: Chunks,
        agents: Agents,
        policy: Policy,
        image: str,
        monotonic: Callable[[], float] = time.monotonic,
        gpu_image: str = "",
        shard: Shard = UNDIVIDED,
    ) -> None:
        self._jobs, self._chunks, self._agents, self._copying = jobs, chunks, agents, Copying(jobs, chunks, agents)
        self._policy, self._image, self._gpu_image, self._monotonic = policy, image, gpu_image, monotonic
        self._parcelling, self._claiming, self._shard = Parcelling(jobs, policy), Claiming(chunks, agents), shard
        self._turn = asyncio.Lock()
        self._looking = self.is_halted = False  # by the operator's order to the farm (halting)
        self._read_at = -1e9
        self._open: dict[str, Job] = {}
        self._unbegun: dict[str, Job] = {}
        self._fleet: dict[str, Agent] = {}
        self._running: Counter[str] = Counter()
        self._waiting = Waiting(chunks)
        self._served: dict[str, datetime] = {}  # renter → when he last got a chunk
        self._slots: dict[str, int] = {}  # job → slots that could work on it

    def stale(self) -> None:
        """A job or an agent has changed in a way that the next round must see."""
        self._read_at = -1e9

    async def look(self) -> None:
        """Idle agents and open work find each other. Calls that come while one waits for its turn share it."""
        if self._looking:
            return
        self._looking = True
        async with self._turn:
            self._looking = False
            self.stale()
            heard = await self._refresh()
            idle = [saved for saved in heard if agents_domain.free_slots(saved.state) and self._shard.hears(saved.id)]
            if (await self._board()).has_work():
                _, told, _ = await self._write(await self._decided([Asking(saved, as_it_is) for saved in idle], ()))
            else:
                told = []
            told += await self._copies()
        await self._chunks.tell(told)

    async def take(self, asking: Sequence[Asking], marks: Sequence[Change[Chunk]] = ()) -> list[bool]:
        """One round for agents that have just spoken; their words and the marks on chunks travel in the same grouped writes.
        Says which marks were saved. Who was beaten to his slot or chunk, often by his own pulse, asks once more."""
        began = self._monotonic()
        saved, beaten = await self._taken(asking, marks, began)
        if beaten:
            await self._ask_again(beaten, began)
        return saved

    async def _ask_again(self, beaten: Collection[str], began: float) -> None:
        """Where that fails they are found by the next look: what was saved before is not to be done again for it."""
        try:
            found = await self._agents.read_many(beaten)
            await self._taken([Asking(one, as_it_is) for one in found.values()], (), began)
        except Exception as problem:
            log.warning("not asked once more", agents=sorted(beaten), problem=repr(problem)[:300])

    async def _taken(
        self, asking: Sequence[Asking], marks: Sequence[Change[Chunk]], began: float
    ) -> tuple[list[bool], Collection[str]]:
        """Says which marks were saved, and who was beaten. Others take their turn while the broker confirms."""
        async with self._turn:
            round = await self._decided(asking, marks)
            self._claiming.begin(round)
        saved, told, beaten = await self._write(round)
        await self._chunks.tell(told)
        for _ in told:
            metrics.WAITED.observe(self._monotonic() - began)
        return saved[: len(marks)], beaten

    async def settled(self) -> None:
        """Returns when whatever rounds have decided before is written, or has failed."""
        async with self._turn:
            await self._claiming.settled()

    async def board(self) -> Board:
        """What could be given out now, and by whom it could be taken."""
        async with self._turn:
            await self._refresh()
            return await self._board()

    def has_inserted(self, job: Job) -> bool:
        """True when this process has itself inserted every chunk that the job's cuts promise."""
        return self._claiming.has_inserted(job)

    async def realise(self, job: str) -> None:
        """Insert the chunks that the job's cuts promise and that are not there; then forget the cuts. Safe to repeat."""
        async with self._turn:
            await self._claiming.settled()
            known = await self._jobs.get(job)
            if known is None or not known.cuts:
                return
            there = await self._chunks.existing([one.chunk for one in known.cuts])
            now = await self._agents.now()
            lacking = [New(one.chunk, chunk_of(known, one, now)) for one in known.cuts if one.chunk not in there]
            await self._chunks.add_many(lacking)
            done = {one.chunk for one in known.cuts}
            await self._jobs.update(job, lambda now_is, _: (without_cuts(now_is, done), []))
            self.stale()

    async def _copies(self) -> list[Told]:
        """For who is idle still, of jobs that come to their end."""
        if not any(is_ending(job) for job in self._open.values()):
            return []
        given = await self._copying.copy(self._seen(await self._agents.now(), []))
        for one in given:
            self._fleet[one.agent.agent] = one.agent
            self._running[one.job] += 1
        return [told for one in given for told in one.told]

    # --- one round

    async def _board(self, busy: Collection[str] = ()) -> Board:
        """As of what is remembered, without the chunks named in `busy`, which this round writes otherwise."""
        now = await self._agents.now()
        if self._waiting.is_low():
            await self._waiting.read(self._seen(now, []))
        busy = self._claiming.busy().union(busy)
        return self._seen(now, [saved.state for saved in self._waiting.chunks.values() if saved.id not in busy])

    def _seen(self, now: datetime, queued: list[Chunk]) -> Board:
        fleet, running = tuple(self._fleet.values()), Counter(self._running)
        return Board(now, self._policy, self._image, self._open, fleet, queued, running, self._served, self._slots, self._unbegun)

    async def _refresh(self) -> list[Saved[Agent]]:
        """Jobs, agents and queued chunks are read anew when that was long ago; then the agents come back as they were read."""
        heard: list[Saved[Agent]] = []
        if self._monotonic() - self._read_at > FRESH_SECONDS:
            jobs, heard = await asyncio.gather(self._jobs.working(), self._agents.heard())
            now = await self._agents.now()
            self._open = {job.job: job for job in jobs if not self.is_halted and may_begin(job, now)}
            self._unbegun = {job.job: job for job in jobs if job.job not in self._open}
            self._fleet = {saved.id: saved.state for saved in heard}
            self._running = Counter(hand.job for saved in heard for hand in saved.state.hands)
            self._slots = {}
            renters = {job.account for job in jobs}
            self._served = {account: at for account, at in self._served.items() if account in renters}
            self._claiming.forget_all_but(self._open.keys())
            await self._waiting.read(self._seen(now, []))
            self._read_at = self._monotonic()
        return heard

    async def _decided(self, asking: Sequence[Asking], marks: Sequence[Change[Chunk]]) -> Round:
        """With the slots reserved. The marks stand first among its changes."""
        await self._refresh()
        now = await self._agents.now()
        decided = {one.saved.id: one.decide(one.saved.state, now) for one in asking}
        for state, _ in decided.values():
            self._fleet[state.agent] = state
        board = await self._board({change.before.id for change in marks})
        idle = [state for state, _ in decided.values() if agents_domain.free_slots(state)]
        pressed = await self._copying.pressed(board) if idle else set()
        placed = await self._place(board, board.offers([one for one in idle if one.agent not in pressed]) if idle else [])
        won = await self._reserve(asking, decided, placed)
        return self._round(board, placed, won, marks)

    async def _place(self, board: Board, offers: Sequence[Offer]) -> list[Placed]:
        """Every offer with its chunk; jobs are cut for those that have none yet. Offers for which nothing was left fall away."""
        by_job: dict[str, list[Offer]] = defaultdict(list)
        for offer in offers:
            if offer.chunk is None:
                by_job[offer.job].append(offer)
        placed = [self._placed(board, one, self._open[one.job], one.chunk, False) for one in offers if one.chunk is not None]
        wishes = [self._wish(board, job, wanted) for job, wanted in by_job.items()]
        for wanted, wish, (now_is, cuts) in zip(by_job.values(), wishes, await self._parcelling.cut(wishes), strict=True):
            self._open[now_is.job] = now_is
            self._claiming.forget(now_is.job, wish.inserted)
            chunks = [chunk_of(now_is, new, board.now) for new in cuts]
            placed += [self._placed(board, one, now_is, chunk, True) for one, chunk in zip(wanted, chunks, strict=False)]
        return list(with_gpus(placed, self._fleet, self._gpu_image))

    def _placed(self, board: Board, offer: Offer, job: Job, chunk: Chunk, fresh: bool) -> Placed:
        return Placed(offer.agent, job, Hand(new_id(), chunk.chunk, chunk.job, board.now), chunk, fresh)

    def _wish(self, board: Board, job: str, wanted: Sequence[Offer]) -> Wish:
        speeds = [pace.of(self._fleet[offer.agent], job) for offer in wanted]
        return Wish(job, speeds, board.share(self._open[job]), self._claiming.inserted(job))

    async def _reserve(self, asking: Sequence[Asking], decided: dict[str, Decision[Agent]], placed: Sequence[Placed]) -> set[str]:
        """Writes what the agents said with the slots they give; returns the attempts whose slot is taken."""
        hands: dict[str, list[Hand]] = defaultdict(list)
        for place in placed:
            hands[place.agent].append(place.hand)
        changes = []
        for one in asking:
            state, events = decided[one.saved.id]
            after = agents_domain.reserved(state, hands[one.saved.id])
            if after != one.saved.state or events:
                changes.append(Change(one.saved, after, events, {}))
            self._fleet[after.agent] = after
        won = await self._agents.save(changes)
        lost = {change.before.id for change, good in zip(changes, won, strict=True) if not good}
        for one in asking:
            if one.saved.id in lost:
                metrics.LOST_RACES.labels("slot").inc()
                self._fleet[one.saved.id] = await self._agents.update(one.saved.id, one.decide)
        return {place.hand.attempt for place in placed if place.agent not in lost}

    def _round(self, board: Board, placed: Sequence[Placed], won: set[str], marks: Sequence[Change[Chunk]]) -> Round:
        """What is left to be written. Whoever comes next sees these slots taken and these chunks in other hands."""
        taken = tuple(one for one in placed if not one.fresh and one.hand.attempt in won)
        fresh = tuple(one for one in placed if one.fresh)
        for one in placed:
            if one.hand.attempt in won:
                self._running[one.job.job] += 1
                self._served[one.job.account] = one.hand.since
        claims = tuple(self._claimed(board, one) for one in taken)
        new = tuple(self._new(board, one, one.hand.attempt in won) for one in fresh)
        beaten = frozenset(one.agent for one in placed if one.hand.attempt not in won)
        return Round((*marks, *claims), new, taken, fresh, frozenset(won), beaten)

    def _claimed(self, board: Board, one: Placed) -> Change[Chunk]:
        holder, told = self._assignment(board, one)
        return Change(self._waiting.chunks.pop(one.chunk.chunk), chunks_domain.claimed(one.chunk, holder), (told,), one.job.trace)

    def _new(self, board: Board, one: Placed, is_won: bool) -> New[Chunk]:
        if not is_won:
            return New(one.chunk.chunk, one.chunk)
        holder, told = self._assignment(board, one)
        return New(one.chunk.chunk, chunks_domain.claimed(one.chunk, holder), (told,), one.job.trace)

    def _assignment(self, board: Board, one: Placed) -> tuple[Holder, ChunkAssigned]:
        image, gpu = (self._gpu_image, one.hand.gpu) if one.hand.gpu else (self._image, None)
        holder, told = assigned(one.job, one.chunk, self._fleet[one.agent], one.hand.attempt, image, board.now, self._policy)
        return holder, told if gpu is None else told.model_copy(update={"gpu": gpu})

    async def _write(self, round: Round) -> tuple[list[bool], list[Told], Collection[str]]:
        """Says which changes were saved, what is to be told now that it is, and who was beaten to his slot or chunk."""
        saved, told, lost = await self._claiming.write(round)
        for change in round.changes:  # which may have been read meanwhile, as it was
            self._waiting.chunks.pop(change.before.id, None)
        for agent in lost:
            self._fleet[agent.agent] = agent
        if lost or any(one.hand.attempt not in round.won for one in round.fresh):
            self.stale()
        return saved, told, round.beaten.union(agent.agent for agent in lost)
