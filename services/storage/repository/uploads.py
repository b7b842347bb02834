"""Uploads on their way, and the verified bundles of each account."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING

from contracts.events import Event, UploadRequested
from services.chassis.repository import SavedThenTold
from services.chassis.service import Ground
from services.storage.domain import upload as uploading
from services.storage.domain.upload import Bundle, Decided, Upload, UploadState, bundle_id

REMEMBERED = timedelta(days=30)


class Uploads:
    def __init__(self, ground: Ground) -> None:
        self.saved: SavedThenTold[Upload] = ground.repository("uploads", Upload)

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index([("state", ASCENDING), ("requested_at", ASCENDING)], name="overdue")
        seconds = int(REMEMBERED.total_seconds())
        await self.saved.collection.create_index("requested_at", expireAfterSeconds=seconds, name="forgotten")

    async def get(self, upload: str) -> Upload | None:
        return await self.saved.get(upload)

    async def request(self, event: UploadRequested, owned: Bundle | None, max_bytes: int) -> Upload:
        """The upload of this id, made now if it is new."""

        def decide(known: Upload | None, now: datetime) -> tuple[Upload, Sequence[Event]]:
            return (known, ()) if known else uploading.requested(event, owned, max_bytes, now)

        return await self.saved.update_or_add(event.upload, decide)

    async def update(self, upload: str, decide: Callable[[Upload], Decided]) -> Upload:
        """Raises Unknown."""
        return await self.saved.update(upload, lambda state, _: decide(state))

    async def asked(self, upload: str) -> Upload:
        """URLs of its parts are wanted. Raises Unknown."""
        return await self.saved.update(upload, uploading.asked)

    async def expired(self, upload: str) -> Upload:
        """Its time is over, unless it is gone on with. Raises Unknown."""
        return await self.saved.update(upload, uploading.expired)

    async def overdue(self, now: datetime) -> list[Upload]:
        states, before = [UploadState.REQUESTED, UploadState.GRANTED], now - uploading.LIFE
        query = {"state": {"$in": states}, "requested_at": {"$lt": before}, "asked_at": {"$not": {"$gte": before}}}
        return [self.saved.decode(document) async for document in self.saved.collection.find(query).limit(500)]


class Bundles:
    def __init__(self, ground: Ground) -> None:
        self.saved: SavedThenTold[Bundle] = ground.repository("bundles", Bundle)

    async def ensure_indexes(self) -> None:
        await self.saved.collection.create_index("used_at", name="unused")
        await self.saved.collection.create_index("kept", partialFilterExpression={"kept": False}, name="thrown away")

    async def of(self, account: str, sha256: str) -> Bundle | None:
        """The bundle, if this very account has it."""
        found = await self.saved.get(bundle_id(account, sha256))
        return found if found and found.kept else None

    async def keep(self, bundle: Bundle) -> Bundle:
        """The account's bundle: this one, or the one it has already."""

        def decide(known: Bundle | None, _: datetime) -> tuple[Bundle, Sequence[Event]]:
            return (known if known and known.kept else bundle), ()

        return await self.saved.update_or_add(bundle.id, decide)

    async def use(self, account: str, sha256: str) -> Bundle | None:
        """Notes that somebody needs it now; None when this account does not have it."""
        if await self.of(account, sha256) is None:
            return None

        def decide(bundle: Bundle, now: datetime) -> tuple[Bundle, Sequence[Event]]:
            return (_used(bundle, now) if bundle.kept else bundle), ()

        bundle = await self.saved.update(bundle_id(account, sha256), decide)
        return bundle if bundle.kept else None

    async def unused_since(self, before: datetime) -> list[Bundle]:
        """A hundred; also those whose throwing away was interrupted."""
        query: dict[str, Any] = {"$or": [{"kept": False}, {"used_at": {"$lt": before}}]}
        return [self.saved.decode(document) async for document in self.saved.collection.find(query).limit(100)]

    async def drop(self, bundle: Bundle, before: datetime) -> bool:
        """No longer kept, unless somebody has used it since; then False."""

        def decide(known: Bundle, _: datetime) -> tuple[Bundle, Sequence[Event]]:
            same = known.upload == bundle.upload and (not known.kept or known.used_at < before)
            return (_dropped(known) if same else known), ()

        left = await self.saved.update(bundle.id, decide)
        return left.upload == bundle.upload and not left.kept

    async def forget(self, bundle: Bundle) -> None:
        await self.saved.collection.delete_one({"_id": bundle.id, "upload": bundle.upload, "kept": False})


def _used(bundle: Bundle, now: datetime) -> Bundle:
    return replace(bundle, used_at=now)


def _dropped(bundle: Bundle) -> Bundle:
    return replace(bundle, kept=False)
