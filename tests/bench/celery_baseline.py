"""Celery beside us: one worker with a process per core, kept still while it is not its turn."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tests.bench.celery_noop import RESULTS
from tests.integration.world import World
from tests.waiting import until

LABEL = "Celery no-op: acks_late, persistent, confirms, MongoDB result backend"
LOG = Path("build/test-logs")
WARM_SECONDS = 2.0


class CeleryBaseline:
    """In the world's virtual host, with a database of its own that goes with the world."""

    def __init__(self, world: World) -> None:
        user, password = world.farm.rabbit_admin
        self._database = f"celery-{world.token}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "NOOP_BROKER": world.farm.amqp_url(user, password, world.vhost),
            "NOOP_BACKEND": world.farm.mongo_admin_url,
            "NOOP_DATABASE": self._database,
        }
        self._results: Any = MongoClient(world.farm.mongo_admin_url)[self._database][RESULTS]
        self._log = LOG / f"{world.token}-celery.log"
        self._worker: subprocess.Popen[bytes] | None = None

    async def open(self) -> None:
        """Starts the worker, sees its first results, and stills it."""
        words = ("celery", "-A", "tests.bench.celery_noop", "worker", "--loglevel", "WARNING")
        more = ("--concurrency", str(os.cpu_count() or 1), "--without-gossip", "--without-mingle")
        self._worker = self._start(*words, *more)
        await self._turn(1)

    def close(self) -> None:
        if self._worker is not None:
            os.killpg(self._worker.pid, signal.SIGCONT)
            os.killpg(self._worker.pid, signal.SIGTERM)
            self._worker.wait(30)

    async def turn(self, seconds: float) -> float:
        """Tasks per second, sent, run, and their results in the database."""
        assert self._worker is not None
        os.killpg(self._worker.pid, signal.SIGCONT)
        return await self._turn(seconds)

    async def _turn(self, seconds: float) -> float:
        assert self._worker is not None
        sender = self._start("tests.bench.celery_noop", "send")
        try:
            before = self._done()
            await until(lambda: self._done() > before, f"Celery's first result (log: {self._log})", 60)
            await asyncio.sleep(WARM_SECONDS)
            at, began = self._done(), time.monotonic()
            await asyncio.sleep(seconds)
            rate = (self._done() - at) / (time.monotonic() - began)
        finally:
            os.killpg(sender.pid, signal.SIGKILL)
            sender.wait()
        await self._drained()
        os.killpg(self._worker.pid, signal.SIGSTOP)
        return rate

    async def _drained(self) -> None:
        last = -1

        def still() -> bool:
            nonlocal last
            before, last = last, self._done()
            return before == last

        while not still():  # noqa: ASYNC110  # another process's work ends without an event
            await asyncio.sleep(1)

    def _done(self) -> int:
        return int(self._results.estimated_document_count())

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as out:
            return subprocess.Popen(
                (sys.executable, "-m", *words),
                env=self._environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
