"""Keeps the agent's transfers within what its lender allows of his line: below every request, so that none can forget it."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator
from typing import cast

import httpx

from agent.domain.bandwidth import full, passed

PIECES_PER_SECOND = 4


class Pace:
    """One direction. Shared by all transfers, which take turns piece by piece."""

    def __init__(self, bytes_per_second: int) -> None:
        self.piece = max(1_024, bytes_per_second // PIECES_PER_SECOND)
        self._bucket = full(bytes_per_second, time.monotonic())

    async def wait(self, size: int) -> None:
        """After `size` bytes; returns when the next ones may go."""
        self._bucket, seconds = passed(self._bucket, size, time.monotonic())
        if seconds > 0:
            await asyncio.sleep(seconds)


class _Paced(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, pace: Pace) -> None:
        self._stream, self._pace = stream, pace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in cast(AsyncIterable[bytes], self._stream):
            for start in range(0, len(block), self._pace.piece):
                piece = block[start : start + self._pace.piece]
                await self._pace.wait(len(piece))
                yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class PacedTransport(httpx.AsyncBaseTransport):
    """None: as fast as the line is."""

    def __init__(self, under: httpx.AsyncBaseTransport, up: int | None, down: int | None) -> None:
        self._under = under
        self._up, self._down = Pace(up) if up else None, Pace(down) if down else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._up is not None and isinstance(request.stream, httpx.AsyncByteStream):
            request.stream = _Paced(request.stream, self._up)
        answer = await self._under.handle_async_request(request)
        if self._down is not None and isinstance(answer.stream, httpx.AsyncByteStream):
            answer.stream = _Paced(answer.stream, self._down)
        return answer

    async def aclose(self) -> None:
        await self._under.aclose()
