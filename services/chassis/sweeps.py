"""What time does: periodic tasks whose end is the end of the process, since a farm without its sweeps rots quietly."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from services.chassis.metrics import SWEEPS

log = structlog.get_logger()


@dataclass(frozen=True)
class Sweep:
    """`task` runs every `seconds`, and less often where it would take more than `share` of the time; what it returns is only for
    the log."""

    name: str
    seconds: float
    task: Callable[[], Awaitable[object]]
    share: float = 1.0

    def rests(self, took: float) -> float:
        """Seconds until its next round, after one that took so many."""
        return max(self.seconds, took / self.share - took)


async def run(service: str, sweep: Sweep) -> None:
    """For ever. A failed round is logged and counted, the next comes in its time."""
    done, failed = SWEEPS.labels(service, sweep.name, "done"), SWEEPS.labels(service, sweep.name, "failed")
    while True:
        began = time.monotonic()
        try:
            await sweep.task()
            done.inc()
        except Exception as problem:
            failed.inc()
            log.warning("sweep failed", sweep=sweep.name, problem=repr(problem)[:500], exc_info=True)
        await asyncio.sleep(sweep.rests(time.monotonic() - began))
