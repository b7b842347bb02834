"""Accounts: who may do what, recognised by API keys of which only a hash is kept.

A key is 256 random bits. Nothing about it can be guessed, so a plain SHA-256 keeps it as safe as a slow password hash would,
without giving strangers a way to burn our CPU, and the hash can be looked up by an index.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from contracts.events import AccountOpened, CreditsOrdered, Event, WebhookSet
from services.intake.domain.ids import derived
from services.intake.domain.refusals import Refused, Why

OPERATOR = "operator"
"""Id of the account that the operator's own key opens; made at start."""


class Role(StrEnum):
    RENTER = "renter"
    LENDER = "lender"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Account:
    name: str
    email: str
    roles: tuple[Role, ...]
    key_hashes: tuple[str, ...]
    opened_at: datetime
    webhook: str | None = None
    webhook_revision: int = 0


@dataclass(frozen=True)
class Order:
    """Credits the operator issued; the document's id follows from account and Idempotency-Key."""

    account: str
    amount_micro: int
    ordered_at: datetime


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def opened(id: str, account: Account) -> tuple[Account, Sequence[Event]]:
    return account, [AccountOpened(account=id, email=account.email, name=account.name)]


def with_key(id: str, account: Account | None, fresh: Account) -> tuple[Account, Sequence[Event]]:
    """The operator's account, made when missing; its only key is the one the farm was started with."""
    if account is None:
        return opened(id, fresh)
    return replace(account, key_hashes=fresh.key_hashes), []


def rekeyed(id: str, account: Account, hashed: str) -> tuple[Account, Sequence[Event]]:
    """A new key in place of all older ones. Raises Refused for the operator's, whose key is the farm's setting."""
    if id == OPERATOR:
        text = "The operator's key is a setting of the farm."
        raise Refused(Why.CONFLICT, "key-is-a-setting", text, "Change it where the farm is started, and start intake again.")
    return replace(account, key_hashes=(hashed,)), []


def webhook_set(id: str, account: Account, url: str | None) -> tuple[Account, Sequence[Event]]:
    """Setting what is set already tells nobody."""
    if account.webhook == url:
        return account, []
    changed = replace(account, webhook=url, webhook_revision=account.webhook_revision + 1)
    return changed, [WebhookSet(account=id, url=url, revision=changed.webhook_revision)]


def ordered(account: str, key: str, amount_micro: int, now: datetime) -> tuple[str, Order, Sequence[Event]]:
    """Id, order and what to tell of credits issued under an Idempotency-Key."""
    id = derived("o", account, key)
    event = CreditsOrdered(order=id, account=account, amount_micro=amount_micro, by=OPERATOR)
    return id, Order(account, amount_micro, now), [event]


def require(account: Account, role: Role) -> None:
    if role not in account.roles:
        text = f"This needs the role {role.value}; the key's account has {', '.join(account.roles) or 'none'}."
        raise Refused(
            Why.FORBIDDEN, "role-missing", text, "Use the key of an account with that role, or ask the operator for it."
        )
