"""What lenders' machines are doing right now, as they say: kept for a minute, never in an outbox, bounded per machine."""

import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pymongo import DeleteOne, ReplaceOne

from contracts.events import ResourcesSampled
from services.chassis.clock import DatabaseClock

KEPT = timedelta(seconds=60)
PLACES = 64
"""Samples of one machine: as many as it may have slots. Attempts share places by chance, so that inventing some fills nothing."""


class Samples:
    def __init__(self, collection: Any, clock: DatabaseClock) -> None:
        self._collection, self._clock = collection, clock

    async def ensure_indexes(self) -> None:
        await self._collection.create_index("until", expireAfterSeconds=60, name="until")
        await self._collection.create_index("agent", name="agent")

    async def put(self, said: Sequence[tuple[str, ResourcesSampled]]) -> None:
        """(agent, what it says) each, in their order; an attempt's last word takes it off the list."""
        until = await self._clock.now() + KEPT
        if said:
            await self._collection.bulk_write([_change(agent, event, until) for agent, event in said])

    async def of_agent(self, agent: str) -> list[ResourcesSampled]:
        now = await self._clock.now()
        cursor = self._collection.find({"agent": agent, "until": {"$gt": now}}).sort("_id", 1)
        return [ResourcesSampled.model_validate_json(one["body"]) async for one in cursor]


def _change(agent: str, event: ResourcesSampled, until: Any) -> DeleteOne | ReplaceOne[dict[str, Any]]:
    id = f"{agent}:{zlib.crc32(event.attempt.encode()) % PLACES}"
    if event.last:
        return DeleteOne({"_id": id})
    return ReplaceOne({"_id": id}, {"agent": agent, "body": event.model_dump_json(), "until": until}, upsert=True)
