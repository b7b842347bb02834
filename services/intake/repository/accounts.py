"""Accounts, orders of credits, and the balances billing tells."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from contracts.events import BalanceChanged
from services.chassis.repository import Saved, SavedThenTold
from services.intake.domain import accounts as domain
from services.intake.domain.accounts import Account, Order
from services.intake.domain.refusals import Refused, Why


class Accounts:
    def __init__(self, accounts: SavedThenTold[Account], orders: SavedThenTold[Order]) -> None:
        self.saved, self.orders = accounts, orders

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index("key_hashes", unique=True, name="key")

    async def of_key(self, key: str) -> Saved[Account] | None:
        found = await self.saved.collection.find_one({"key_hashes": domain.key_hash(key)}, {"pending": 0, "_writers": 0})
        return self.saved.saved(found) if found else None

    async def open(self, id: str, account: Account) -> None:
        account, events = domain.opened(id, account)
        await self.saved.add(id, account, events)

    async def ensure_operator(self, fresh: Account) -> None:
        """The operator's account with exactly this key."""
        await self.saved.update_or_add(domain.OPERATOR, lambda known, _: domain.with_key(domain.OPERATOR, known, fresh))

    async def rekey(self, id: str, hashed: str) -> None:
        await self.saved.update(id, lambda account, _: domain.rekeyed(id, account, hashed))

    async def set_webhook(self, id: str, url: str | None) -> Account:
        return await self.saved.update(id, lambda account, _: domain.webhook_set(id, account, url))

    async def order(self, account: str, key: str, amount_micro: int, now: datetime) -> str:
        """The order's id; the same key orders once. Raises Refused when the key was used for another amount."""
        id, order, events = domain.ordered(account, key, amount_micro, now)
        if not await self.orders.add(id, order, events):
            known = await self.orders.get(id)
            if known is not None and known.amount_micro != amount_micro:
                raise key_reused()
        return id

    async def newest(self, most: int) -> list[Saved[Account]]:
        cursor = self.saved.collection.find({}, {"pending": 0, "_writers": 0}).sort("opened_at", -1).limit(most)
        return [self.saved.saved(document) async for document in cursor]


def key_reused() -> Refused:
    text = "This Idempotency-Key was used for another request before."
    return Refused(
        Why.INVALID, "idempotency-key-reused", text, "Use a fresh key for each new request, the same one only to repeat it."
    )


@dataclass(frozen=True)
class Balance:
    """In micro-credits."""

    available_micro: int = 0
    held_micro: int = 0
    pending_micro: int = 0
    payable_micro: int = 0
    debt_micro: int = 0
    revision: int = 0


class Balances:
    """Billing's word, by its revision."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    async def put(self, event: BalanceChanged) -> None:
        fields = {name: getattr(event, name) for name in asdict(Balance())}
        older = {"_id": event.account, "revision": {"$lt": event.revision}}
        try:
            await self._collection.update_one(older, {"$set": fields}, upsert=True)
        except DuplicateKeyError:
            return  # a newer one is there

    async def of(self, account: str) -> Balance:
        found = await self._collection.find_one({"_id": account}, {"_id": 0})
        return Balance(**found) if found else Balance()
