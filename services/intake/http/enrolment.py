"""How machines come in and go: a lender's one-time code, the machine's one call, and the end of a machine."""

import secrets
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field

from contracts.events import AgentOrder
from contracts.values import SecretHash
from services.chassis.repository import Saved
from services.intake.domain import agents as machines
from services.intake.domain import codes as domain
from services.intake.domain.accounts import Account, Role
from services.intake.domain.agents import Agent
from services.intake.domain.refusals import Refused, Why, unknown
from services.intake.http.desk import Caller, Desk, Lender, Limiter, TheDesk
from services.intake.http.lenders import AgentView, seen
from services.intake.repository.codes import Codes

log = structlog.get_logger()
router = APIRouter(prefix="/v1/agents", tags=["lenders"])
CODES = Counter("framelend_intake_codes", "One-time codes for machines, by what came of them", ["outcome"])
for _outcome in ("made", "used", "code-unknown", "code-expired", "code-used", "too-many-codes", "too-many-machines"):
    CODES.labels(_outcome)


class NewCode(BaseModel):
    """`code` is shown this one time; only its hash is kept."""

    code: str
    expires_at: datetime


class Enrolment(BaseModel):
    """`secret_hash`: RabbitMQ's salted SHA-256 of a secret that never leaves the machine."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, Field(pattern=r"^[^\[\]\x00-\x1f\x7f]{1,60}$")]
    secret_hash: SecretHash


class Progress(StrEnum):
    PENDING = "pending"
    """Taken down; the broker does not know the machine yet. Send the same request again."""
    ENROLLED = "enrolled"
    """It can log in."""


class Enrolled(BaseModel):
    """`broker`: where the machine logs in with its id and its secret. `authority`: PEM of the certificate authority that vouches
    for the broker; none when every machine knows it. `image`: digest of the render image that this farm's work names."""

    agent: str
    state: Progress
    broker: str
    authority: str | None
    image: str | None


class Revocation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=500)] = ""


Wait = Annotated[float, Query(ge=0, le=30, description="Seconds to wait for it to be done.")]


@router.post("/codes", status_code=201, summary="A one-time code for a new machine")
async def make_code(who: Lender, desk: TheDesk) -> NewCode:
    _takes_machines(desk)
    text = domain.text(secrets.token_bytes(domain.CODE_BYTES))
    try:
        await desk.memory.codes.make(who.id, domain.code_hash(text), desk.terms)
    except Refused as refused:
        CODES.labels(refused.code).inc()
        raise
    CODES.labels("made").inc()
    log.info("code for a machine made", account=who.id)
    return NewCode(code=text, expires_at=await desk.clock.now() + desk.terms.life)


@router.post("/enrol", summary="A machine's first word: its code, its name, its secret's hash")
async def enrol(asked: Enrolment, request: Request, desk: TheDesk, wait: Wait = 20) -> Enrolled:
    """Needs no API key: the code is the proof. The same request may be sent again until `state` is `enrolled`; the same code with
    another hash is refused."""
    _takes_machines(desk)
    hash = domain.code_hash(asked.code)
    owner = await owner_of(desk.memory.codes, desk.codes_rate, hash, request.client.host if request.client else "")
    desk.accounts_rate.take(owner)
    with desk.waits.one(owner, wait):
        return await _enrolled(desk, owner, hash, asked, wait)


async def owner_of(codes: Codes, rate: Limiter, hash: str, host: str) -> str:
    """Who made the code. Wrong ones are limited by the host they come from, a good one never is: nobody guesses 80 random bits,
    and all who are behind one address would be shut out by one of them. Raises Refused."""
    owner = await codes.owner(hash)
    if owner is None:
        CODES.labels("code-unknown").inc()
        rate.take(host)
        log.warning("unknown code for a machine", host=host)
        raise domain.unknown_code()
    return owner


async def _enrolled(desk: Desk, owner: str, hash: str, asked: Enrolment, wait: float) -> Enrolled:
    try:
        agent = await desk.memory.codes.use(owner, hash, asked.name, asked.secret_hash)
    except Refused as refused:
        CODES.labels(refused.code).inc()
        log.warning("code for a machine refused", account=owner, why=refused.code)
        raise
    CODES.labels("used").inc()
    known = await desk.memory.bell.until(_topic(agent), wait, lambda: desk.memory.agents.saved.get(agent))
    log.info("machine wants in", account=owner, agent=agent, known=known is not None)
    if known is not None and known.revoked:
        raise Refused(Why.CONFLICT, "machine-revoked", "This machine was revoked.", "Make a new code for it.")
    state = Progress.PENDING if known is None else Progress.ENROLLED
    terms = desk.terms
    return Enrolled(agent=agent, state=state, broker=terms.broker, authority=terms.authority or None, image=terms.image or None)


@router.post("/{agent}/revoke", summary="A machine of mine is to go for good; any machine, for the operator")
async def revoke(agent: str, asked: Revocation, who: Caller, desk: TheDesk, wait: Wait = 10) -> AgentView:
    """Answers when it is shut out, or when the time is over."""
    await _own(desk, who, agent)
    reason = asked.reason or ("revoked by the operator" if _runs_the_farm(who) else "revoked by its owner")

    async def gone() -> Agent | None:
        known = (await _own(desk, who, agent)).state
        return known if known.revoked else None

    await desk.memory.agents.saved.update(agent, lambda state, _: machines.leaving(agent, state, who.id, reason))
    log.info("machine is to be revoked", agent=agent, account=who.id)
    with suppress(Refused), desk.waits.one(who.id, wait):  # it is done, though nobody may wait for it
        await desk.memory.bell.until(_topic(agent), wait, gone)
    return seen(await _own(desk, who, agent))


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order: AgentOrder


@router.post("/{agent}/orders", summary="What a machine of mine is to do; any machine, for the operator")
async def give_order(agent: str, asked: Order, who: Caller, desk: TheDesk, wait: Wait = 10) -> AgentView:
    """Answers when the scheduler has changed the machine's state on account of it, or when the time is over. A revoked machine
    hears no orders."""
    known = await _own(desk, who, agent)
    if known.state.leaving or known.state.revoked:
        raise Refused(Why.CONFLICT, "machine-revoked", "This machine was revoked.", "Make a code and enrol it anew.")

    async def heard() -> Agent | None:
        now = (await _own(desk, who, agent)).state
        return now if machines.obeys(now) else None

    await desk.memory.agents.saved.update(agent, lambda state, _: machines.controlled(agent, state, asked.order, who.id))
    log.info("machine is given an order", agent=agent, order=asked.order, account=who.id)
    with suppress(Refused), desk.waits.one(who.id, wait):
        await desk.memory.bell.until(_topic(agent), wait, heard)
    return seen(await _own(desk, who, agent))


async def _own(desk: Desk, who: Saved[Account], agent: str) -> Saved[Agent]:
    found = await desk.memory.agents.saved.read(agent)
    if found is None or not (found.state.owner == who.id or _runs_the_farm(who)):
        raise unknown("agent")
    return found


def _runs_the_farm(who: Saved[Account]) -> bool:
    return Role.OPERATOR in who.state.roles


def _takes_machines(desk: Desk) -> None:
    if not desk.terms.broker:
        text = "This farm takes no machines by code: its operator has not said where machines reach the broker."
        raise Refused(Why.CONFLICT, "no-machines-by-code", text, "Ask the operator.")


def _topic(agent: str) -> str:
    """What rings when something about this machine is heard."""
    return f"agent:{agent}"
