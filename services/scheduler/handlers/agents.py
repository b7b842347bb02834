"""What agents say of themselves. The hot ones are taken in batches and end in one round of assignment."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog

from contracts.bus import NotAnnounced
from contracts.events import AgentPulse, AgentReady, AttemptInHand, AttemptVoid, ChunkCompleted, Event
from services.chassis.delivery import Received
from services.chassis.inbox import Inboxes
from services.chassis.repository import Change, Decide, Saved
from services.chassis.verdicts import SenderFault
from services.scheduler import metrics
from services.scheduler.desk import Desk
from services.scheduler.domain import agent as domain
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain import orders
from services.scheduler.domain.agent import Agent, Decided
from services.scheduler.domain.chunk import Chunk, Ending
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quick import replace
from services.scheduler.domain.states import AgentState
from services.scheduler.placing import Asking

log = structlog.get_logger()
Outcome = BaseException | None
W = TypeVar("W")

TOGETHER = 500
"""Words told at a time."""


def register(inboxes: Inboxes, desk: Desk) -> None:
    @inboxes.in_batches(AgentReady)
    async def on_agent_ready(batch: list[Received[AgentReady]]) -> list[Outcome]:
        return await ready(desk, batch)

    @inboxes.in_batches(ChunkCompleted)
    async def on_chunk_completed(batch: list[Received[ChunkCompleted]]) -> list[Outcome]:
        return await completed(desk, batch)

    @inboxes.in_batches(AgentPulse)
    async def on_agent_pulse(batch: list[Received[AgentPulse]]) -> list[Outcome]:
        return await pulses(desk, batch)


async def ready(desk: Desk, batch: Sequence[Received[AgentReady]]) -> list[Outcome]:
    """Hands an agent denies are given up before its word is written, so that a crash between the two repeats both. The benchmark
    of one that is new is held against the speeds of the farm."""
    saved = await desk.agents.read_many(one.sender for one in batch)
    now = await desk.now()
    said: dict[str, list[Received[AgentReady]]] = defaultdict(list)
    for one in batch:
        if one.sender in saved:
            said[one.sender].append(one)
    for agent, words in said.items():
        await _give_up_denied(desk, saved[agent].state, words, now)
    ended = await _ended(desk, [saved[agent].state for agent in said])
    is_new = any(
        not saved[agent].state.micro_wu_per_minute for agent, words in said.items() if any(one.event.benchmark for one in words)
    )
    speeds = [one.micro_wu_per_minute for one in (await desk.dispatch.board()).fleet] if is_new else []
    await desk.dispatch.take([Asking(saved[agent], _ready(words, ended, desk.policy, speeds)) for agent, words in said.items()])
    reminders = [orders.reminder(saved[agent].state) for agent in said]
    await _together([one for one in reminders if one is not None], partial(_answer, desk))
    await _together(list(said), desk.remind)
    return [None if one.sender in saved else SenderFault(f"{one.sender} is not enrolled") for one in batch]


async def _ended(desk: Desk, ready: Sequence[Agent]) -> set[str]:
    """Attempts not heard of yet that we have ended ourselves: their agents owe us no word about them."""
    hands = [hand for agent in ready for hand in agent.hands if not hand.heard]
    found = await desk.chunks.read_many(hand.chunk for hand in hands) if hands else {}
    return {hand.attempt for hand in hands if hand.chunk in found and chunks.has_ended(found[hand.chunk].state, hand.attempt)}


def _ready(words: Sequence[Received[AgentReady]], ended: set[str], policy: Policy, speeds: Sequence[int]) -> Decide[Agent]:
    def decide(agent: Agent, now: datetime) -> Decided:
        events = []
        for word in words:
            agent = domain.freed(agent, *ended.difference(word.event.attempts))
            left = domain.denied(agent, word.event, now, policy) if _is_new_run(agent, word.event) else []
            agent, more = domain.ready(agent, word.event, word.id, now, policy, speeds)
            for hand in left:
                agent = domain.interrupted(agent, hand.job, now, policy)
            events += more
        return agent, events

    return decide


def _is_new_run(agent: Agent, word: AgentReady) -> bool:
    return agent.run != "" and word.run > agent.run


async def _give_up_denied(desk: Desk, agent: Agent, words: Sequence[Received[AgentReady]], now: datetime) -> None:
    for word in words:
        if word.event.run < agent.run or word.id in agent.readies:
            continue
        for hand in domain.denied(agent, word.event, now, desk.policy):
            await _give_up(desk, hand, is_dead=_is_new_run(agent, word.event))


async def _give_up(desk: Desk, hand: Hand, is_dead: bool) -> None:
    """A restarted agent has lost the attempt. One that only leaves it out may have finished it: frames may be on the way."""

    def decide(chunk: Chunk, now: datetime) -> chunks.Decided:
        if is_dead:
            return chunks.gave_up(chunk, hand.attempt, Ending.LOST, now), []
        return chunks.said_done(chunk, hand.attempt, now), []

    if await desk.chunks.get(hand.chunk) is not None:
        await desk.chunks.update(hand.chunk, decide)


async def completed(desk: Desk, batch: Sequence[Received[ChunkCompleted]]) -> list[Outcome]:
    """Frees the slots, starts the chunks' timers, and gives the agents their next chunks. That they have brought anything is for
    storage to say (handlers.proving)."""
    found, saved = await _remembered(desk, batch)
    now = await desk.now()
    outcomes = [_check(one, found.get(one.event.chunk), saved.get(one.sender)) for one in batch]
    good = [one for one, wrong in zip(batch, outcomes, strict=True) if wrong is None]
    marks = _marks(good, found, now)
    freed: dict[str, list[ChunkCompleted]] = defaultdict(list)
    for one in good:
        freed[one.sender].append(one.event)
    won = await desk.dispatch.take([Asking(saved[agent], _freed(events)) for agent, events in freed.items()], marks)
    for mark, was_saved in zip(marks, won, strict=True):
        if not was_saved:
            await _mark_again(desk, mark.before.id, good)
    desk.chunks.forget(mark.before.id for mark in marks)
    return outcomes


async def _remembered(
    desk: Desk, batch: Sequence[Received[ChunkCompleted]]
) -> tuple[dict[str, Saved[Chunk]], dict[str, Saved[Agent]]]:
    """Chunks and agents as this process knows them. Where that does not bear out what is said, they are read."""
    found = await desk.chunks.recall_many(one.event.chunk for one in batch)
    saved = await desk.agents.recall_many(one.sender for one in batch)
    doubtful = [one for one in batch if not _bears_out(one, found.get(one.event.chunk), saved.get(one.sender))]
    if doubtful:
        found |= await desk.chunks.read_many(one.event.chunk for one in doubtful)
        saved |= await desk.agents.read_many(one.sender for one in doubtful)
    return found, saved


def _bears_out(one: Received[ChunkCompleted], chunk: Saved[Chunk] | None, agent: Saved[Agent] | None) -> bool:
    return _check(one, chunk, agent) is None and agent is not None and domain.holds(agent.state, one.event.attempt)


def _check(one: Received[ChunkCompleted], chunk: Saved[Chunk] | None, agent: Saved[Agent] | None) -> Outcome:
    if agent is None:
        return SenderFault(f"{one.sender} is not enrolled")
    if chunk is None or chunk.state.job != one.event.job or not chunks.knows(chunk.state, one.event.attempt, one.sender):
        return SenderFault(f"{one.sender} was never given attempt {one.event.attempt}")
    return None


def _marks(good: Sequence[Received[ChunkCompleted]], found: dict[str, Saved[Chunk]], now: datetime) -> list[Change[Chunk]]:
    states = {id: saved.state for id, saved in found.items()}
    traces = {}
    for one in good:
        states[one.event.chunk] = chunks.said_done(states[one.event.chunk], one.event.attempt, now)
        traces[one.event.chunk] = one.trace
    return [Change(found[id], state, (), traces[id]) for id, state in states.items() if state != found[id].state]


async def _mark_again(desk: Desk, chunk: str, good: Sequence[Received[ChunkCompleted]]) -> None:
    metrics.LOST_RACES.labels("mark").inc()
    attempts = [one.event.attempt for one in good if one.event.chunk == chunk]

    def decide(state: Chunk, now: datetime) -> chunks.Decided:
        for attempt in attempts:
            state = chunks.said_done(state, attempt, now)
        return state, []

    await desk.chunks.update(chunk, decide)


def _freed(events: Sequence[ChunkCompleted]) -> Decide[Agent]:
    def decide(agent: Agent, now: datetime) -> Decided:
        for event in events:
            agent = domain.freed(agent, event.attempt)
        return agent, []

    return decide


async def pulses(desk: Desk, batch: Sequence[Received[AgentPulse]]) -> list[Outcome]:
    """Most only move `seen_at`, all of a batch in one write. Attempts that do not hold their chunks any more are told so."""
    saved, now = await desk.agents.current(one.sender for one in batch), await desk.now()
    known = {agent: one for agent, one in saved.items() if one.state.state is not AgentState.REVOKED}
    said = _last_words(one for one in batch if one.sender in known)
    for agent, word in said.items():
        desk.progress.note(agent, word.attempts, now)
    heard = await _take_over(desk, known, said, now)
    in_hand = await desk.chunks.current(hand.chunk for word in said.values() for hand in word.attempts)
    await _mark_alive(desk, in_hand, heard)
    voids = [_void(agent, hand, in_hand.get(hand.chunk)) for agent, word in said.items() for hand in word.attempts]
    await _together([void for void in voids if void is not None], partial(_answer_void, desk))
    return [None if one.sender in known else SenderFault(f"{one.sender} is not enrolled") for one in batch]


async def _together(words: Sequence[W], tell: Callable[[W], Awaitable[None]]) -> None:
    """One wait for the confirms of many: what comes next in this inbox would wait for each of them otherwise."""
    for at in range(0, len(words), TOGETHER):
        await asyncio.gather(*(tell(one) for one in words[at : at + TOGETHER]))


def _last_words(batch: Iterable[Received[AgentPulse]]) -> dict[str, AgentPulse]:
    """A pulse is absolute: of several of one agent the last one of its newest run counts."""
    said: dict[str, AgentPulse] = {}
    for one in batch:
        if one.sender not in said or one.event.run >= said[one.sender].run:
            said[one.sender] = one.event
    return said


async def _take_over(desk: Desk, known: Mapping[str, Saved[Agent]], said: Mapping[str, AgentPulse], now: datetime) -> list[Hand]:
    """Writes what the pulses say of their agents; returns the hands that are heard of for the first time."""
    quiet, changes = dict[str, datetime](), list[Change[Agent]]()
    for agent, word in said.items():
        before = known[agent].state
        after, events = _pulsed(word, desk.policy)(before, now)
        if replace(after, seen_at=before.seen_at) == before and not events:
            quiet[agent] = now
        else:
            changes.append(Change(known[agent], after, events))
    await desk.agents.note_heard(quiet)
    for change, won in zip(changes, await desk.agents.save(changes), strict=True):
        if not won:
            await desk.agents.update(change.before.id, _pulsed(said[change.before.id], desk.policy))
    if any(change.state.state is not change.before.state.state for change in changes):
        desk.dispatch.stale()
    return [hand for change in changes for hand in change.state.hands if hand.heard and hand not in change.before.state.hands]


def _pulsed(word: AgentPulse, policy: Policy) -> Decide[Agent]:
    attempts = [hand.attempt for hand in word.attempts]
    return lambda agent, now: domain.pulsed(agent, word.run, attempts, now, policy)


async def _mark_alive(desk: Desk, found: Mapping[str, Saved[Chunk]], heard: Sequence[Hand]) -> None:
    """A show of life; a lost race only shows it later."""
    attempts = {hand.chunk: hand.attempt for hand in heard if hand.chunk in found}
    changes = [Change(found[chunk], chunks.alive(found[chunk].state, attempt)) for chunk, attempt in attempts.items()]
    await desk.chunks.save([change for change in changes if change.state != change.before.state])


def _void(agent: str, hand: AttemptInHand, saved: Saved[Chunk] | None) -> AttemptVoid | None:
    reason = "this attempt does not hold its chunk any more"
    if saved is None:
        return AttemptVoid(agent=agent, job=hand.job, chunk=hand.chunk, attempt=hand.attempt, reason=reason)
    if chunks.is_held_by(saved.state, hand.attempt) or _is_finished(saved.state, hand.attempt):
        return None
    return chunks.void_of(saved.state, hand.attempt, agent, reason)


async def _answer_void(desk: Desk, void: AttemptVoid) -> None:
    log.info("void attempt in a pulse", job=void.job, chunk=void.chunk, attempt=void.attempt, agent=void.agent)
    await _answer(desk, void)


async def _answer(desk: Desk, answer: Event) -> None:
    try:
        await desk.say(answer)
    except NotAnnounced:  # a full mailbox is its owner's affair; the other agents of this batch must not wait for it
        log.info("an agent could not be answered, its next word will be", agent=answer.addressee, event_key=answer.key())


def _is_finished(chunk: Chunk, attempt: str) -> bool:
    return chunks.has_ended(chunk, attempt, Ending.FINISHED)
