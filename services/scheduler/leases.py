"""Ends what nobody keeps alive: silent agents lose their leases, attempts that bring nothing and overdue ones end.

While the broker is away nobody can be heard, and after it is back what was said meanwhile is still in the inboxes. So no lease
and no timer runs out on account of our own deafness: silence counts from the moment we could hear again. Of several shards each
judges the silence of those it hears, and nobody else's. What came of an attempt that is done with, or is at its last end, each
may judge: that is in the database, and in what all processes have heard of storage.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from services.chassis.repository import Unknown
from services.scheduler import metrics, vain
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as agents
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import tries
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk, Decided, Ending
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.holding import Holder, is_at_its_last
from services.scheduler.domain.policy import Policy
from services.scheduler.folding import Sweeping

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
        await self._agree()
        sweeping = Sweeping()
        if now - heard_since > policy.after("lease"):
            await sweeping.each(await self._silent_agents(now), self._silence)
        if now - heard_since > policy.after("settle"):
            await sweeping.each(await self._unfinished(now), self._incomplete)
        vanished = await self._vanished_hands(now, was_heard=now - heard_since > policy.after("pickup"))
        await sweeping.each(vanished, self._free)
        await sweeping.each(await self._overdue(now, heard_since), self._void)
        if sweeping.found:
            await self._desk.dispatch.look()
        sweeping.owned_up()

    async def _agree(self) -> None:
        verification, policy = self._desk.verification, self._desk.policy
        verification.agree(await self._desk.storages.agree(verification.storage, policy), policy)

    async def _silent_agents(self, now: datetime) -> dict[str, Agent]:
        found = await self._desk.agents.silent(now - self._desk.policy.after("lease"))
        return {saved.id: saved.state for saved in found if self._desk.shard.hears(saved.id)}

    async def _silence(self, silent: Agent) -> None:
        """Chunks first: a crash before the agent is written repeats it."""
        log.warning("agent lost", agent=silent.agent, attempts=len(silent.hands))
        for hand in silent.hands:
            await self._lose(hand, "agent silent")
        await self._desk.agents.update(silent.agent, self._lost)

    def _lost(self, agent: Agent, now: datetime) -> agents.Decided:
        """Unless it was heard in the meantime."""
        if agent.seen_at is not None and now - agent.seen_at <= self._desk.policy.after("lease"):
            return agent, []
        for hand in agent.hands:
            agent = agents.interrupted(agent, hand.job, now, self._desk.policy)
        return agents.lost(agent)

    async def _vanished_hands(self, now: datetime, was_heard: bool) -> dict[str, tuple[Agent, set[str]]]:
        """Attempts that never arrived or were dropped without a word, and slots reserved for a claim that never came."""
        heard = [saved.state for saved in await self._desk.agents.heard() if self._desk.shard.hears(saved.id)]
        gone = await self._unclaimed(heard, now)
        if was_heard:
            gone |= {hand.attempt for agent in heard for hand in agents.vanished(agent, now, self._desk.policy)}
        mine = {agent.agent: (agent, gone.intersection(hand.attempt for hand in agent.hands)) for agent in heard}
        return {name: found for name, found in mine.items() if found[1]}

    async def _free(self, found: tuple[Agent, set[str]]) -> None:
        policy, (agent, gone) = self._desk.policy, found
        for hand in agent.hands:
            if hand.attempt in gone:
                await self._lose(hand, "attempt vanished")
        await self._desk.agents.update(agent.agent, lambda state, at: (_without(state, gone, at, policy), []))

    async def _unclaimed(self, heard: Sequence[Agent], now: datetime) -> set[str]:
        """One question for all agents."""
        wait = self._desk.policy.after("unclaimed")
        young = [hand for agent in heard for hand in agent.hands if not hand.heard and now - hand.since > wait]
        found = await self._desk.chunks.current(hand.chunk for hand in young) if young else {}
        return {
            hand.attempt
            for hand in young
            if hand.chunk not in found or not chunks.is_held_by(found[hand.chunk].state, hand.attempt)
        }

    async def _unfinished(self, now: datetime) -> dict[str, Chunk]:
        """Their agents said they were done; not every frame came."""
        found = await self._desk.chunks.done_before(now - self._desk.policy.after("settle"))
        return {chunk.chunk: chunk for chunk in found if self._is_late(chunk, now)}

    def _is_late(self, chunk: Chunk, now: datetime) -> bool:
        done_at = chunk.holder.done_at if chunk.holder else None
        return done_at is not None and self._desk.verification.is_overdue(done_at, now, self._desk.policy)

    async def _incomplete(self, chunk: Chunk) -> None:
        """Its agent's fault, unless it is storage's, or it gave the rest back and said so."""
        assert chunk.holder is not None
        attempt, agent, done_at = chunk.holder.attempt, chunk.holder.agent, chunk.holder.done_at
        is_blamed = done_at is not None and self._desk.verification.has_spoken(done_at) and not chunk.holder.awaited
        log.warning("attempt incomplete", chunk=chunk.chunk, attempt=attempt, agent=agent, blamed=is_blamed)
        was_open = await self._end(chunk.chunk, lambda state, at: (tries.incomplete(state, attempt, is_blamed, at), []))
        if was_open and is_blamed:
            await self._desk.agents.update(agent, self._blamed(agents.failed, chunk.job))

    async def _overdue(self, now: datetime, heard_since: datetime) -> dict[str, Chunk]:
        found = await self._desk.chunks.overdue(now)
        return {one.chunk: one for one in found if one.holder and self._is_due(one.holder, now, heard_since)}

    def _is_due(self, holder: Holder, now: datetime, heard_since: datetime) -> bool:
        """At its last end at once; before, only when storage should have looked at what lies in the store. After we were deaf
        there is the time for a frame once more."""
        if is_at_its_last(holder, now):
            return True
        if not self._desk.shard.hears(holder.agent):
            return False  # nor would we have heard it say that its frames lie there
        by = max(holder.hard_end, heard_since + timedelta(seconds=holder.patience))
        return self._desk.verification.should_have_come(by, now, self._desk.policy)

    async def _void(self, chunk: Chunk) -> None:
        assert chunk.holder is not None
        attempt, why = chunk.holder.attempt, "hard end" if is_at_its_last(chunk.holder, chunk.holder.hard_end) else "no progress"
        log.warning("attempt overdue", chunk=chunk.chunk, attempt=attempt, agent=chunk.holder.agent, why=why)
        by_house = await vain.ending(self._desk, chunk, has_time=False)
        if await self._end(chunk.chunk, lambda state, at: tries.timed_out(state, attempt, at, by_house)):
            metrics.VOIDED.labels(why).inc()
            await self._desk.agents.update(chunk.holder.agent, self._blamed(agents.interrupted, chunk.job))

    async def _lose(self, hand: Hand, why: str) -> None:
        if await self._end(hand.chunk, lambda chunk, at: (chunks.gave_up(chunk, hand.attempt, Ending.LOST, at), [])):
            metrics.VOIDED.labels(why).inc()

    def _blamed(
        self, how: Callable[[Agent, str, datetime, Policy], Agent], job: str
    ) -> Callable[[Agent, datetime], agents.Decided]:
        policy = self._desk.policy
        return lambda agent, now: (agent if agent.house else how(agent, job, now, policy), [])

    async def _end(self, chunk: str, decide: Callable[[Chunk, datetime], Decided]) -> bool:
        """True when it was us who ended it."""
        was_open = False

        def noting(state: Chunk, at: datetime) -> Decided:
            nonlocal was_open
            after, events = decide(state, at)
            was_open = after != state
            return after, events

        try:
            await self._desk.chunks.update(chunk, noting)
        except Unknown:
            log.info("a slot was reserved for a chunk that was never inserted", chunk=chunk)
        return was_open


def _without(agent: Agent, gone: set[str], now: datetime, policy: Policy) -> Agent:
    for hand in [hand for hand in agent.hands if hand.attempt in gone]:
        agent = agents.interrupted(agents.freed(agent, hand.attempt), hand.job, now, policy)
    return agent
