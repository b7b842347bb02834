"""Who lends: machines that want in, are to go, or bring a new secret.

Each writes the agent's document, then has the broker follow.
"""

import contextlib

import structlog

from contracts.events import AgentControlled, EnrolmentRequested, RevocationRequested, SecretOffered
from services.chassis.inbox import Inboxes
from services.chassis.repository import Unknown
from services.chassis.verdicts import NotYet, SenderFault
from services.scheduler import metrics
from services.scheduler.desk import Desk
from services.scheduler.domain import access, orders
from services.scheduler.domain import chunk as chunks
from services.scheduler.domain.agent import Agent, freed
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.states import AgentState
from services.scheduler.gate import Gate
from services.scheduler.quarantine import Quarantine

log = structlog.get_logger()


def register(inboxes: Inboxes, desk: Desk, gate: Gate, quarantine: Quarantine) -> None:
    @inboxes.on(EnrolmentRequested)
    async def on_enrolment_requested(event: EnrolmentRequested) -> None:
        await enrolment_requested(desk, gate, event)

    @inboxes.on(RevocationRequested)
    async def on_revocation_requested(event: RevocationRequested) -> None:
        await revocation_requested(desk, gate, quarantine, event)

    @inboxes.on(AgentControlled)
    async def on_agent_controlled(event: AgentControlled) -> None:
        await agent_controlled(desk, event)

    @inboxes.on_agent(SecretOffered)
    async def on_secret_offered(agent: str, event: SecretOffered) -> None:
        await secret_offered(desk, gate, agent, event)


async def enrolment_requested(desk: Desk, gate: Gate, event: EnrolmentRequested) -> None:
    """The id is intake's and follows from the code, so that the same request is the same machine."""
    fresh = access.asked(event.agent, event.owner, event.name, False, event.secret_hash)
    is_new = await desk.agents.add(fresh, [])
    known = await desk.agents.get(event.agent)
    if known is None or known.state is AgentState.REVOKED:
        log.info("enrolment of a revoked agent, said again", agent=event.agent)
        return
    if known.owner != event.owner:
        raise SenderFault(f"{event.agent} belongs to another account")
    await gate.settle(event.agent)
    if is_new:
        metrics.ENROLLED.labels("by code").inc()
        log.info("agent enrolled", agent=event.agent, owner=event.owner)


async def revocation_requested(desk: Desk, gate: Gate, quarantine: Quarantine, event: RevocationRequested) -> None:
    try:
        await desk.agents.update(event.agent, lambda agent, _: access.ended(agent, event.reason))
    except Unknown:
        raise NotYet(f"{event.agent} is not enrolled yet") from None
    quarantine.ignore(event.agent)
    await gate.settle(event.agent)
    metrics.REVOKED.inc()
    log.warning("agent revoked", agent=event.agent, by=event.by, reason=event.reason)
    desk.dispatch.stale()
    await desk.dispatch.look()


async def agent_controlled(desk: Desk, event: AgentControlled) -> None:
    """The door is shut before the hands are emptied, so that nothing comes in between; a repetition does both again."""
    try:
        known = await desk.agents.update(event.agent, lambda agent, _: orders.ordered(agent, event))
    except Unknown:
        raise NotYet(f"{event.agent} is not enrolled yet") from None
    log.info("agent controlled", agent=event.agent, order=event.order, by=event.by, revision=event.revision)
    if event.order in orders.EMPTIES_HANDS and known.order_revision == event.revision:
        await _empty(desk, known, f"this machine was {orders.WORDS[event.order]}")
    desk.dispatch.stale()
    await desk.dispatch.look()


async def _empty(desk: Desk, agent: Agent, reason: str) -> None:
    for hand in agent.hands:
        await _void(desk, hand, reason)
    attempts = [hand.attempt for hand in agent.hands]
    await desk.agents.update(agent.agent, lambda state, _: (freed(state, *attempts), []))


async def _void(desk: Desk, hand: Hand, reason: str) -> None:
    with contextlib.suppress(Unknown):
        await desk.chunks.update(hand.chunk, lambda chunk, now: chunks.voided(chunk, hand.attempt, reason, now))


async def secret_offered(desk: Desk, gate: Gate, agent: str, event: SecretOffered) -> None:
    """Its connection stays: the broker asks for the secret at the next one."""
    known, now = await desk.agent(agent), await desk.now()
    if access.is_stale(known, event.offer):
        metrics.SECRETS.labels("stale").inc()
        log.info("an offer of a secret came late", agent=agent, offer=event.offer)
        return
    if access.is_too_soon(known, event.offer, event.secret_hash, now):
        metrics.SECRETS.labels("too soon").inc()
        raise SenderFault("one new secret at a time, and not every few seconds")
    await desk.agents.update(agent, lambda state, at: (access.offered(state, event.offer, event.secret_hash, at), []))
    await gate.settle(agent)
    metrics.SECRETS.labels("taken").inc()
    log.info("agent has a new secret", agent=agent, offer=event.offer)
