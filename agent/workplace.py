"""What every attempt of this agent works with: its folders, Docker, the bundle cache, the store, the way out to the bus."""

import asyncio
import json
import shutil
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import structlog

from agent.bundle import BundleCache
from agent.container import Engine
from agent.gpus import Gpus
from agent.journal import Journal
from agent.outbox import Outbox
from agent.pictures import file_name
from agent.process import Processes
from agent.resources import Meters
from agent.settings import AgentSettings
from agent.uploads import Uploader
from contracts.bus import Announcement, Announcer, NotAnnounced
from contracts.events import Event

log = structlog.get_logger()

CACHE = "cache"
DOWNLOADS = "downloads"
"""Where archives came to in versions before; now they come to the cache."""


class Folders:
    """Below the agent's own folder, which only its user may enter."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.work, self.spool, self.cache = self.root / "work", self.root / "spool", self.root / CACHE
        self.journal, self.benchmark = self.root / "journal.db", self.root / "benchmark.json"
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def clear(self) -> None:
        """What a former run left half done. Only for who holds the lock."""
        for gone in (self.work, self.root / DOWNLOADS):
            shutil.rmtree(gone, ignore_errors=True)
        self.work.mkdir(exist_ok=True)
        self.spool.mkdir(exist_ok=True)

    def picture(self, attempt: str, frame: int) -> Path:
        """Where a finished frame is kept until it is delivered and a while longer."""
        return self.spool / attempt / file_name(frame)

    def clear_spool(self, attempt: str, kept: frozenset[Path]) -> None:
        """Pictures that were being copied or checked when the agent died: nobody was told of them."""
        folder = self.spool / attempt
        for path in folder.iterdir() if folder.is_dir() else ():
            if path not in kept:
                path.unlink(missing_ok=True)

    def prepare(self, attempt: str, task: dict[str, Any]) -> None:
        """/in of its container, whose user is another one: it may read there, inside a folder nobody else may enter."""
        inside = self.work / attempt / "in"
        (inside / "bundle").mkdir(parents=True)
        (inside / "task.json").write_text(json.dumps(task), encoding="utf-8")
        (self.spool / attempt).mkdir(exist_ok=True)


class Background:
    """Tasks that somebody must hold on to. One that fails is an error of ours: what it was about to do for an attempt will never
    be done, so the process must not go on as if nothing had happened. Its next run takes up what the journal holds."""

    def __init__(self) -> None:
        self.broken = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, what: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        task = asyncio.create_task(what, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("a task failed", task=task.get_name(), exc_info=problem)
            self.broken.set()

    async def finish(self, seconds: float) -> None:
        """Waits, then cancels what is left."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        left = set(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@dataclass
class Workplace:
    agent: str
    settings: AgentSettings
    folders: Folders
    engine: Engine | Processes
    cache: BundleCache
    journal: Journal
    outbox: Outbox
    announcer: Announcer
    http: httpx.AsyncClient
    uploader: Uploader
    slots: asyncio.Semaphore
    """One container each. An assignment may come a moment before the one before it has quite ended: it waits here."""
    background: Background = field(default_factory=Background)
    meters: Meters = field(default_factory=lambda: Meters(Gpus()))

    async def say(self, event: Event, trace: Mapping[str, str]) -> bool:
        """Now or not at all; whether the broker has confirmed it."""
        try:
            await self.announcer.announce(Announcement(event, trace=trace))
        except NotAnnounced as why:
            log.info("not said", event_key=event.key(), why=str(why)[:200])
            return False
        return True

    def free_disk_bytes(self) -> int:
        """What work may take: scenes that are kept for later make room for one that is wanted now."""
        free = shutil.disk_usage(self.folders.root).free - self.settings.agent_keep_free_bytes
        return max(0, free + self.cache.spare_bytes())

    def now(self) -> float:
        """Seconds of a clock that nobody sets and that goes on while the machine sleeps: leases and grants do."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
