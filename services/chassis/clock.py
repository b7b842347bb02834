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
        self._reading = asyncio.Lock()

    async def now(self) -> datetime:
        """UTC, to the millisecond (what MongoDB keeps)."""
        async with self._reading:
            if time.monotonic() - self._read_at > 30:
                await self._read()
        at = datetime.fromtimestamp(time.monotonic(), UTC) + self._offset
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    async def _read(self) -> None:
        before = time.monotonic()
        answer = await self._database.command("hello")
        local = answer["localTime"]
        local = local if local.tzinfo else local.replace(tzinfo=UTC)
        after = time.monotonic()
        self._offset = local - datetime.fromtimestamp((before + after) / 2, UTC)
        self._read_at = after
