"""How fast the outbox delivers what it has kept: never so that the farm takes it for a flood."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest

from agent.journal import Journal
from agent.outbox import EVENTS_PER_SECOND, Outbox
from contracts.bus import Announcement, Announcer
from contracts.events import ChunkCompleted
from services.chassis.conduct import Conduct, Limits, Offence, offence, spoke

KEPT = 280


class Broker:
    """Takes everything at once, and notes when."""

    def __init__(self) -> None:
        self.times: list[float] = []

    async def announce(self, _: Announcement) -> None:
        self.times.append(time.monotonic())


def judged(times: Iterable[float]) -> Offence | None:
    conduct, limits = Conduct(0.0), Limits()
    for at in times:
        conduct = spoke(conduct, 500, at, limits)
        if (wrong := offence(conduct, limits)) is not None:
            return wrong
    return None


@pytest.mark.parametrize(("rate", "wrong"), [(EVENTS_PER_SECOND, None), (1e9, Offence.EVENTS)], ids=["paced", "without its pace"])
async def test_what_was_kept_for_hours_is_delivered_without_becoming_a_flood(
    tmp_path: Path, rate: float, wrong: Offence | None
) -> None:
    broker, journal = Broker(), Journal(tmp_path / "journal.db")
    for number in range(KEPT):
        journal.keep(ChunkCompleted(job="job-1", chunk=f"job-1-{number}", attempt=f"attempt-{number}"), {})
    outbox = Outbox(journal, cast(Announcer, broker), rate)
    delivers = asyncio.create_task(outbox.run())
    await asyncio.wait_for(outbox.drained(), 60)
    delivers.cancel()
    assert len(broker.times) == KEPT
    assert judged(broker.times) is wrong
    journal.close()
