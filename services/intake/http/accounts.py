"""Accounts, credits, webhook."""

import secrets
from typing import Annotated

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from contracts.bus import new_id
from services.intake.domain import webhooks
from services.intake.domain.accounts import Account, Role, key_hash
from services.intake.domain.credits import credit_text, micro
from services.intake.domain.refusals import unknown
from services.intake.http import shapes, views
from services.intake.http.desk import Caller, Desk, IdempotencyKey, Operator, TheDesk

log = structlog.get_logger()
MOST_CREDITS_MICRO = 10**15
router = APIRouter(prefix="/v1", tags=["accounts"])


class NewAccount(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    email: Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
    roles: Annotated[list[Role], Field(min_length=1, max_length=3)]


class OpenedAccount(BaseModel):
    """`key` is shown this one time; only its hash is kept."""

    id: str
    name: str
    roles: list[Role]
    key: str


class NewKey(BaseModel):
    """`key` is shown this one time."""

    account: str
    key: str


class NewCredits(BaseModel):
    """`amount` in credits as decimal text."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[str, Field(max_length=40)]


class OrderedCredits(BaseModel):
    order: str
    account: str
    amount: str


class NewWebhook(BaseModel):
    """None switches it off."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=2_000)] | None


class WebhookView(BaseModel):
    """`secret` proves our calls: they are signed as Standard Webhooks describes."""

    url: str | None
    secret: str


@router.post("/accounts", status_code=201, summary="Open an account (operator)")
async def open_account(asked: NewAccount, who: Operator, desk: TheDesk) -> OpenedAccount:
    id, key = new_id(), _fresh_key()
    roles = tuple(dict.fromkeys(asked.roles))
    fresh = Account(asked.name, asked.email, roles, (key_hash(key),), await desk.clock.now())
    await desk.memory.accounts.open(id, fresh)
    log.info("account opened", account=id, roles=list(roles))
    return OpenedAccount(id=id, name=asked.name, roles=list(roles), key=key)


@router.post("/accounts/{account}/key", status_code=201, summary="A new key for who lost theirs; older ones end (operator)")
async def reset_key(account: str, who: Operator, desk: TheDesk) -> NewKey:
    if await desk.memory.accounts.saved.get(account) is None:
        raise unknown("account")
    return await _rekeyed(desk, account)


@router.get("/accounts", summary="Accounts, newest first (operator)")
async def accounts(who: Operator, desk: TheDesk) -> list[shapes.AccountView]:
    found = await desk.memory.accounts.newest(500)
    return [views.account(one, await desk.memory.balances.of(one.id)) for one in found]


@router.post("/accounts/{account}/credits", status_code=202, summary="Issue credits (operator)")
async def issue_credits(account: str, asked: NewCredits, key: IdempotencyKey, who: Operator, desk: TheDesk) -> OrderedCredits:
    amount = micro(asked.amount, "amount", MOST_CREDITS_MICRO)
    if await desk.memory.accounts.saved.get(account) is None:
        raise unknown("account")
    order = await desk.memory.accounts.order(account, key, amount, await desk.clock.now())
    log.info("credits ordered", account=account, order=order)
    return OrderedCredits(order=order, account=account, amount=credit_text(amount))


@router.get("/account", summary="Who am I, and what do I have?")
async def account(who: Caller, desk: TheDesk) -> shapes.AccountView:
    return views.account(who, await desk.memory.balances.of(who.id))


@router.post("/account/key", status_code=201, summary="A new key for me; the present one ends")
async def rotate_key(who: Caller, desk: TheDesk) -> NewKey:
    return await _rekeyed(desk, who.id)


@router.put("/account/webhook", summary="Where to call when something happens")
async def set_webhook(asked: NewWebhook, who: Caller, desk: TheDesk) -> WebhookView:
    url = webhooks.checked(asked.url) if asked.url else None
    changed = await desk.memory.accounts.set_webhook(who.id, url)
    return WebhookView(url=changed.webhook, secret=webhooks.secret(who.id, desk.webhook_key))


async def _rekeyed(desk: Desk, account: str) -> NewKey:
    key = _fresh_key()
    await desk.memory.accounts.rekey(account, key_hash(key))
    log.info("account has a new key", account=account)
    return NewKey(account=account, key=key)


def _fresh_key() -> str:
    """256 random bits."""
    return f"fl_{secrets.token_urlsafe(32)}"
