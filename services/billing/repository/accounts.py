"""Balances of accounts as documents, moved in the same transaction as the postings.

`BalanceChanged` is told after the move: at once for rare ones, at most once a second while charges pour in. `untold` marks what
the sweep must still tell, so that a crash delays the telling and nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, UpdateOne

from contracts.events import BalanceChanged, Event
from services.billing.domain.ledger import Posting, balances
from services.chassis.repository import SavedThenTold
from services.chassis.service import Ground

TOLD_AT_ONCE = 500


@dataclass(frozen=True)
class Account:
    """One person's credits, as renter and as lender; `debt_micro` is what is owed, not negative here."""

    account: str = ""
    available_micro: int = 0
    held_micro: int = 0
    pending_micro: int = 0
    payable_micro: int = 0
    debt_micro: int = 0
    revision: int = 0
    untold: bool = False


class Accounts:
    def __init__(self, ground: Ground) -> None:
        self.saved: SavedThenTold[Account] = ground.repository("accounts", Account)
        self.collection = self.saved.collection

    async def ensure_indexes(self) -> None:
        await self.collection.create_index([("untold", ASCENDING)], partialFilterExpression={"untold": True}, name="untold")

    async def open(self, account: str) -> None:
        """A balance record from the first day; one that a charge made before stays as it is."""
        opened = Account(account, revision=1)
        await self.saved.add(account, opened, [_changed(opened)])

    async def is_open(self, account: str) -> bool:
        return bool(await self.collection.count_documents({"_id": account}, limit=1))

    async def available(self, account: str) -> int:
        found = await self.collection.find_one({"_id": account}, {"available_micro": 1})
        return int(found["available_micro"]) if found and "available_micro" in found else 0

    async def tell(self, accounts: Iterable[str]) -> None:
        """Say the balances as they are now, unless that was said already."""
        for account in sorted(set(accounts)):
            await self.saved.update(account, _told)

    async def tell_untold(self) -> int:
        found = await self.collection.find({"untold": True}, {"_id": 1}).limit(TOLD_AT_ONCE).to_list(None)
        await self.tell(document["_id"] for document in found)
        return len(found)


def owners(postings: Iterable[Posting]) -> set[str]:
    """The accounts of people that these postings move, all of them together."""
    return {owner for account, amount in balances(postings).items() if amount and (owner := _owner_and_field(account)[0])}


def moves(postings: Sequence[Posting]) -> list[UpdateOne]:
    """One conditional increment per account; what may not go negative is guarded once more, by the database itself."""
    deltas: dict[str, dict[str, int]] = defaultdict(dict)
    for account, amount in balances(postings).items():
        owner, field = _owner_and_field(account)
        if owner and amount:
            deltas[owner][field] = -amount if field == "debt_micro" else amount
    return [_move(owner, fields) for owner, fields in deltas.items()]


def _move(owner: str, fields: dict[str, int]) -> UpdateOne:
    guard: dict[str, Any] = {field: {"$gte": -amount} for field, amount in fields.items() if amount < 0}
    return UpdateOne(
        {"_id": owner, **guard},
        {
            "$inc": {**fields, "revision": 1, "_version": 1},
            "$set": {"untold": True, "account": owner},
            "$setOnInsert": {"_writers": [], "pending": []},
        },
        upsert=not guard,
    )


def _owner_and_field(account: str) -> tuple[str, str]:
    """`renter:ada:held` → (`ada`, `held_micro`); an account of the farm's own has no owner."""
    role, owner, *field = account.split(":")
    return (owner, f"{field[0]}_micro") if role in ("renter", "lender") and field else ("", "")


def _told(account: Account, now: datetime) -> tuple[Account, Sequence[Event]]:
    if not account.untold:
        return account, ()
    return replace(account, untold=False), (_changed(account),)


def _changed(account: Account) -> BalanceChanged:
    return BalanceChanged(
        account=account.account,
        revision=account.revision,
        available_micro=account.available_micro,
        held_micro=account.held_micro,
        pending_micro=account.pending_micro,
        payable_micro=account.payable_micro,
        debt_micro=account.debt_micro,
    )
