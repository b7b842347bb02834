"""Sends pictures to the store: exact length and type, tried again while the URL is good, never rendered again for a hiccup."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import structlog

from agent import metrics
from contracts.events import FrameUpload

log = structlog.get_logger()

AT_ONCE = 4
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
BLOCK = 1 << 18


class Uploader:
    """Shared by all attempts, so that a slow line is not made slower by many streams."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def put(self, path: Path, upload: FrameUpload, seconds_valid: float) -> bool:
        """True when the store has taken it; False when this URL will not do and another must be asked for."""
        end = time.monotonic() + seconds_valid
        async with self._turns:
            for pause in PAUSES:
                began = time.monotonic()
                if began >= end:
                    return False
                again = await self._once(path, upload)
                if again is None:
                    metrics.UPLOADS.labels("stored").inc()
                    metrics.UPLOAD_SECONDS.observe(time.monotonic() - began)
                    return True
                log.warning("upload failed", frame=upload.frame, why=again[0])
                metrics.UPLOADS.labels("failed").inc()
                if not again[1]:
                    return False
                await asyncio.sleep(pause)
        return False

    async def _once(self, path: Path, upload: FrameUpload) -> tuple[str, bool] | None:
        """None when stored, else why not and whether the same URL may be tried again."""
        headers = {"content-type": upload.content_type, "content-length": str(upload.bytes)}
        try:
            answer = await self._client.put(upload.url, content=_blocks(path), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as away:
            return type(away).__name__, True
        except OSError as gone:
            return f"our own file: {gone.strerror}", False
        if answer.is_success:
            return None
        return f"the store answers {answer.status_code}", answer.status_code >= 500 or answer.status_code == 429


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
