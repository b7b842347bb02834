"""Gets an attempt's bundle onto this disk: from the cache, or by showing the grant and downloading from where storage says."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from agent import metrics
from agent.domain.admission import disk
from agent.domain.attempt import Ending, failed, released
from agent.downloading import BundleAway, Download, TamperedBundle
from agent.unpack import UnsafeBundle
from agent.workplace import Workplace
from contracts.events import BundleGranted, BundleRequested, ChunkAssigned, Fault, Release
from contracts.grants import Grant

log = structlog.get_logger()

ANSWER_SECONDS = 5.0
PATIENCE_SECONDS = 600.0
"""Without a byte."""
TRIES_WITH_WRONG_BYTES = 3
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)


class NoBundle(Exception):
    """It cannot be had; `ending` says whose fault that is."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.text)
        self.ending = ending


class Fetch:
    """Of one attempt. `granted` receives what storage answers."""

    def __init__(
        self, place: Workplace, assignment: ChunkAssigned, trace: dict[str, str], received: Callable[[int], None]
    ) -> None:
        """`received` is told how many bytes came over the network."""
        self._received = received
        self.granted: asyncio.Queue[BundleGranted] = asyncio.Queue()
        self._place, self._assignment, self._trace = place, assignment, trace
        self._end = place.now() + PATIENCE_SECONDS
        self._wrong = 0

    async def run(self) -> None:
        """Returns when the bundle is in the cache. Raises NoBundle."""
        sha256 = self._grant.bundle
        async with self._place.cache.turn(sha256):
            if self._place.cache.find(sha256) is not None:
                self._place.cache.archive(sha256).unlink(missing_ok=True)  # of an attempt that ended while it was unpacked
                metrics.BUNDLES.labels("cache").inc()
                return
            await self._download()
            metrics.BUNDLES.labels("store").inc()

    @property
    def _grant(self) -> Grant:
        return self._assignment.grant

    async def _download(self) -> None:
        """Broken off, by the attempt's end or for want of a line, it leaves what has come for the next attempt."""
        archive, is_over = self._place.cache.archive(self._grant.bundle), False
        try:
            await self._bring(archive)
            is_over = True
        except UnsafeBundle as unsafe:
            is_over = True
            raise NoBundle(failed(Fault.SCENE, f"the bundle is refused: {unsafe}")) from None
        except OSError as full:
            is_over = True
            raise NoBundle(failed(Fault.MACHINE, f"the bundle cannot be kept: {full.strerror}")) from None
        finally:
            if is_over:
                archive.unlink(missing_ok=True)
            else:
                self._place.cache.broken_off(self._grant.bundle)

    async def _bring(self, archive: Path) -> None:
        download = Download(self._place.http, archive, self._grant.bundle, self._assignment.bundle_bytes)
        await download.take_up()
        await self._place.cache.make_room(disk(self._assignment) - download.bytes)
        turn = 0
        while not await self._try(download):
            await asyncio.sleep(PAUSES[min(turn, len(PAUSES) - 1)])
            turn += 1
        await self._place.cache.add(self._grant.bundle, archive)

    async def _try(self, download: Download) -> bool:
        """One URL asked for and used. Raises NoBundle when there is no point in another."""
        if self._place.now() > self._end:
            raise NoBundle(released(Release.NETWORK, "the bundle could not be downloaded in time"))
        granted = await self._ask()
        if granted is None:
            return False
        before = download.bytes
        try:
            await download.go_on(granted.url)
        except BundleAway as away:
            log.warning("bundle not downloaded", job=self._grant.job, why=str(away), bytes=download.bytes)
            if download.bytes > before:
                self._end = self._place.now() + PATIENCE_SECONDS
            return False
        except TamperedBundle as tampered:
            return self._refuse(tampered)
        finally:
            self._received(max(0, download.bytes - before))
        return True

    def _refuse(self, tampered: TamperedBundle) -> bool:
        self._wrong += 1
        log.error("bundle refused", job=self._grant.job, bundle=self._grant.bundle, why=str(tampered))
        if self._wrong >= TRIES_WITH_WRONG_BYTES:
            raise NoBundle(released(Release.NETWORK, f"the bundle is not what its hash promises: {tampered}"))
        return False

    async def _ask(self) -> BundleGranted | None:
        if not await self._place.say(BundleRequested(grant=self._grant), self._trace):
            return None
        try:
            return await asyncio.wait_for(self.granted.get(), ANSWER_SECONDS)
        except TimeoutError:
            return None
