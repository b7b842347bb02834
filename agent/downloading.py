"""One bundle on its way to this disk: a broken line costs what was not there yet, not what was; nor does an attempt that ends."""

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

import httpx

BLOCK = 1 << 20


class TamperedBundle(Exception):
    """What came is not what the hash promises."""


class BundleAway(Exception):
    """It could not be downloaded now; ask for another URL."""


class Download:
    """Goes on where it stopped, with whatever URL is good now. `bytes` are on the disk and in the hash."""

    def __init__(self, client: httpx.AsyncClient, to: Path, sha256: str, size: int) -> None:
        self._client, self._to, self._sha256, self._size = client, to, sha256, size
        self._restart()

    def _restart(self) -> None:
        self.bytes, self._digest = 0, hashlib.sha256()

    def _throw_away(self) -> None:
        self._restart()
        self._to.unlink(missing_ok=True)

    async def take_up(self) -> None:
        """What an earlier attempt has left here counts; its bytes go through the hash again. Raises OSError."""
        await asyncio.to_thread(self._read)

    def _read(self) -> None:
        self._restart()
        with contextlib.suppress(FileNotFoundError), self._to.open("rb") as file:
            if os.fstat(file.fileno()).st_size > self._size:
                return self._throw_away()
            while block := file.read(BLOCK):
                self.bytes += len(block)
                self._digest.update(block)

    async def go_on(self, url: str) -> None:
        """Returns when exactly the promised bytes are there. Raises BundleAway, TamperedBundle (what came so far is thrown
        away), and OSError when the disk is full."""
        if self.bytes < self._size:
            await self._get(url)
        if self.bytes < self._size:
            raise BundleAway(f"{self.bytes} of {self._size} bytes came")
        if self._digest.hexdigest() != self._sha256:
            self._throw_away()
            raise TamperedBundle("its bytes do not have its hash")

    async def _get(self, url: str) -> None:
        try:
            async with self._client.stream("GET", url, headers=self._rest()) as answer:
                await self._take(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as away:
            raise BundleAway(f"the store is away: {type(away).__name__}") from None

    def _rest(self) -> dict[str, str]:
        return {"range": f"bytes={self.bytes}-"} if self.bytes else {}

    async def _take(self, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.OK:  # all of it, whatever we asked for
            self._restart()
        elif answer.status_code != httpx.codes.PARTIAL_CONTENT or not self.bytes:
            raise BundleAway(f"the store answers {answer.status_code}")
        with self._to.open("ab" if self.bytes else "wb") as file:
            async for block in answer.aiter_raw(BLOCK):
                if self.bytes + len(block) > self._size:
                    self._throw_away()
                    raise TamperedBundle(f"more than the promised {self._size} bytes")
                file.write(block)
                self.bytes += len(block)
                self._digest.update(block)
