"""Contacts, and a record per fact and channel."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from pymongo import ASCENDING

from contracts.events import AccountOpened, WebhookSet
from services.chassis.bell import Bell
from services.chassis.repository import SavedThenTold
from services.chassis.service import Ground
from services.notifier.domain import contact, delivery
from services.notifier.domain.contact import Contact
from services.notifier.domain.delivery import Channel, Delivery, Progress

OPEN = [Progress.DUE.value, Progress.SENDING.value]


class Contacts:
    def __init__(self, ground: Ground) -> None:
        self.saved: SavedThenTold[Contact] = ground.repository("contacts", Contact)

    async def get(self, account: str) -> Contact | None:
        """None until the account's mail address is known."""
        found = await self.saved.get(account)
        return found if found and found.email else None

    async def opened(self, event: AccountOpened) -> None:
        await self.saved.update_or_add(event.account, lambda known, _: (contact.opened(known, event), ()))

    async def webhook_set(self, event: WebhookSet) -> None:
        await self.saved.update_or_add(event.account, lambda known, _: (contact.webhook_set(known, event), ()))


class Deliveries:
    def __init__(self, ground: Ground, lease: timedelta, waits: tuple[float, ...]) -> None:
        self.saved: SavedThenTold[Delivery] = ground.repository("deliveries", Delivery)
        self._lease, self._waits = lease, waits
        self.bell = Bell()

    async def ensure_indexes(self) -> None:
        """All that `open` asks is in the index: whoever has very many due costs a walk along it, and no look at each."""
        keys = [(field, ASCENDING) for field in ("channel", "due_at", "account", "progress")]
        await self.saved.collection.create_index(
            keys, partialFilterExpression={"progress": {"$in": OPEN}}, name="open_by_channel"
        )

    async def add(self, deliveries: Sequence[Delivery]) -> int:
        """Those that are not on record yet; returns how many."""
        added = sum([await self.saved.add(one.id, one) for one in deliveries])
        self.bell.ring()
        return added

    async def open(self, channel: Channel, but_not_of: Collection[str], most: int) -> list[Delivery]:
        """Due ones, or with a lease that ran out, oldest first; none of the accounts being told right now."""
        query = {
            "progress": {"$in": OPEN},
            "due_at": {"$lte": await self.saved.now()},
            "channel": channel.value,
            "account": {"$nin": list(but_not_of)},
        }
        found = await self.saved.collection.find(query).sort("due_at", ASCENDING).limit(most).to_list(None)
        return [self.saved.saved(document).state for document in found]

    async def count_open(self) -> int:
        return int(await self.saved.collection.count_documents({"channel": {"$in": list(Channel)}, "progress": {"$in": OPEN}}))

    async def take(self, id: str) -> Delivery | None:
        """Lease it; None when somebody else has it."""
        taken: list[Delivery] = []

        def decide(one: Delivery, now: datetime) -> tuple[Delivery, tuple[()]]:
            taken[:] = [delivery.taken(one, now, self._lease)] if delivery.is_open(one, now) else []
            return (taken[0] if taken else one), ()

        await self.saved.update(id, decide)
        return taken[0] if taken else None

    async def sent(self, mine: Delivery) -> None:
        """Recorded only while the lease is still this try's."""
        await self.saved.update(mine.id, lambda one, now: (delivery.sent(one, now) if _is(one, mine) else one, ()))

    async def failed(self, mine: Delivery, problem: str, final: bool) -> Delivery:
        return await self.saved.update(
            mine.id,
            lambda one, now: (delivery.failed(one, problem, self._waits, now, final) if _is(one, mine) else one, ()),
        )

    async def again(self, channel: Channel, within: timedelta) -> int:
        """Make due what was given up, if it was last tried within this time; returns how many."""
        since = await self.saved.now() - within
        query = {"progress": Progress.FAILED.value, "channel": channel.value, "due_at": {"$gte": since}}
        found = [document["_id"] async for document in self.saved.collection.find(query, {"_id": 1})]
        for id in found:
            await self.saved.update(id, lambda one, now: (delivery.again(one, now), ()))
        return len(found)


def _is(one: Delivery, mine: Delivery) -> bool:
    return one.progress is Progress.SENDING and one.tries == mine.tries
