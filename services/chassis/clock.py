"""The time that decisions are made by: the database's, so that all replicas of a service agree."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any


class DatabaseClock:
    """MongoDB's clock, carried forward by the monotonic one; read anew every half minute."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self._offset = timedelta()
        self._read_at = -1e9
        self._reading: asyncio.Task[None] | None = None

    async def now(self) -> datetime:
        """UTC, to the millisecond (what MongoDB keeps). Raises what the driver raises."""
        if time.monotonic() - self._read_at > 30:
            await self._read_once()
        at = datetime.fromtimestamp(time.monotonic(), UTC) + self._offset
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    async def _read_once(self) -> None:
        """All who ask meanwhile share one answer, and one failure: one after the other, each would wait for those before it."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_heard)
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        before = time.monotonic()
        answer = await self._database.command("hello")
        local = answer["localTime"]
        local = local if local.tzinfo else local.replace(tzinfo=UTC)
        after = time.monotonic()
        self._offset = local - datetime.fromtimestamp((before + after) / 2, UTC)
        self._read_at = after


def _heard(reading: "asyncio.Task[None]") -> None:
    """Whoever waited may have gone: then its problem is nobody's, and no complaint."""
    if not reading.cancelled():
        reading.exception()
