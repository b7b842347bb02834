"""Answers of other services that live minutes: presigned addresses, kept until they run out so that any process of intake can
hand them to the request that waits. MongoDB removes them; nothing here is ever saved in an outbox."""

from datetime import timedelta
from typing import Any, TypeVar

from contracts.events import Event
from services.chassis.clock import DatabaseClock

E = TypeVar("E", bound=Event)
USABLE = 0.8
"""Share of an address's life in which it is still handed out."""


class Answers:
    def __init__(self, collection: Any, clock: DatabaseClock) -> None:
        self._collection, self._clock = collection, clock

    async def ensure_indexes(self) -> None:
        await self._collection.create_index("until", expireAfterSeconds=60, name="until")

    async def keep(self, id: str, event: Event, seconds_valid: int) -> None:
        until = await self._clock.now() + timedelta(seconds=seconds_valid * USABLE)
        body = event.model_dump_json()
        await self._collection.replace_one({"_id": id}, {"body": body, "until": until}, upsert=True)

    async def get(self, id: str, kind: type[E]) -> E | None:
        found = await self._collection.find_one({"_id": id})
        if found is None or found["until"] < await self._clock.now():
            return None
        return kind.model_validate_json(found["body"])


async def page_key(collection: Any, fresh: bytes) -> bytes:
    """The key that signs passes to job pages: made once, the same for all processes of intake."""
    await collection.update_one({"_id": "page-key"}, {"$setOnInsert": {"key": fresh}}, upsert=True)
    found = await collection.find_one({"_id": "page-key"})
    return bytes(found["key"])
