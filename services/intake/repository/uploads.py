"""Uploads, and which bundles an account has."""

import asyncio
from datetime import datetime
from weakref import WeakValueDictionary

from services.chassis.repository import Saved, SavedThenTold
from services.intake.domain import uploads as domain
from services.intake.domain.uploads import State, Upload


class Uploads:
    def __init__(self, saved: SavedThenTold[Upload]) -> None:
        self.saved = saved
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ensure_indexes(self) -> None:
        keys = [("account", 1), ("sha256", 1), ("turn", -1)]
        await self.saved.collection.create_index(keys, unique=True, name="account_sha256_turn")
        await self.saved.collection.create_index([("account", 1), ("state", 1)], name="account_state")

    async def request(self, account: str, sha256: str, size: int) -> Saved[Upload]:
        """The account's upload of these bytes: the one under way or done, else a new one. Raises Refused when the account has
        announced too much that is not finished."""
        while True:
            last, now = await self._last(account, sha256), await self.saved.now()
            if last is not None and domain.same_again(last.state, size, now):
                return last
            turn = last.state.turn + 1 if last else 0
            id, upload, events = domain.requested(account, sha256, size, turn, now)
            async with self._turns.setdefault(account, asyncio.Lock()):  # or all that ask at once would find room
                domain.check_room(await self._open(account, now), size)
                await self.saved.add(id, upload, events)

    async def of(self, account: str, id: str) -> Saved[Upload] | None:
        found = await self.saved.read(id)
        return found if found is not None and found.state.account == account else None

    async def bundle(self, account: str, sha256: str) -> Upload | None:
        """This account's latest upload of that bundle that was verified, else its latest."""
        query = {"account": account, "sha256": sha256, "state": State.STORED.value}
        stored = await self._newest(query)
        last = stored or await self._last(account, sha256)
        return last.state if last else None

    async def finish(self, id: str) -> Upload:
        return await self.saved.update(id, lambda upload, _: domain.finished(id, upload))

    async def _open(self, account: str, now: datetime) -> list[int]:
        """Bytes of the account's uploads that have no verdict."""
        query = {"account": account, "state": {"$in": sorted(domain.OPEN)}, "requested_at": {"$gt": now - domain.OPEN_FOR}}
        return [one["bytes"] async for one in self.saved.collection.find(query, {"bytes": 1}).limit(domain.MOST_OPEN)]

    async def _last(self, account: str, sha256: str) -> Saved[Upload] | None:
        return await self._newest({"account": account, "sha256": sha256})

    async def _newest(self, query: dict[str, str]) -> Saved[Upload] | None:
        cursor = self.saved.collection.find(query, {"pending": 0, "_writers": 0})
        found = await cursor.sort("turn", -1).limit(1).to_list(1)
        return self.saved.saved(found[0]) if found else None
