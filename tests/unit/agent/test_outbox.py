"""How fast the outbox delivers what it has kept: never so that the farm takes it for a flood."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from agent.journal import Journal
from agent.outbox import EVENTS_PER_SECOND, GROUP, Outbox
from contracts.bus import Announcement, Announcer, BrokerAway, NotAnnounced, TooLarge
from contracts.events import ChunkCompleted
from services.chassis.conduct import Conduct, Limits, Offence, offence, spoke
from tests.waiting import until

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


class Choosy(Broker):
    """Refuses these, by their chunks; `is_away`: answers nobody."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self.refused, self.is_away, self.said = set(refused), False, list[str]()

    async def announce(self, told: Announcement) -> None:
        assert isinstance(told.event, ChunkCompleted)
        self.said.append(told.event.chunk)
        if self.is_away:
            raise BrokerAway("nobody answers")
        if told.event.chunk in self.refused:
            raise NotAnnounced("an inbox is full")


async def test_a_group_that_an_inbox_refuses_holds_up_nothing_behind_it_and_is_not_said_again_at_once(tmp_path: Path) -> None:
    refused = [f"chunk-{number}" for number in range(GROUP)]
    broker = Choosy(*refused)
    with closing(Journal(tmp_path / "journal.db")) as journal:
        for chunk in (*refused, "behind"):
            journal.keep(ChunkCompleted(job="job-1", chunk=chunk, attempt="attempt-1"), {})
        outbox = Outbox(journal, cast(Announcer, broker))
        delivers = asyncio.create_task(outbox.run())
        await until(lambda: journal.depth() == GROUP, "what stands behind them is delivered")
        outbox.nudge()
        await until(lambda: not outbox._news.is_set(), "another round")
        assert sorted(broker.said) == sorted([*refused, "behind"]), "each was said once"
        broker.refused.clear()
        await until(lambda: journal.depth() == 0, "the others are delivered when there is room", 30)
        delivers.cancel()


async def test_what_no_broker_takes_is_given_up(tmp_path: Path) -> None:
    class Full(Broker):
        async def announce(self, _: Announcement) -> None:
            raise TooLarge("of any size it had")

    with closing(Journal(tmp_path / "journal.db")) as journal:
        journal.keep(ChunkCompleted(job="job-1", chunk="chunk-1", attempt="attempt-1"), {})
        assert await Outbox(journal, cast(Announcer, Full()))._round() == 0
        assert journal.depth() == 0


async def test_while_the_broker_is_away_one_group_is_tried_and_no_more(tmp_path: Path) -> None:
    broker = Choosy()
    broker.is_away = True
    with closing(Journal(tmp_path / "journal.db")) as journal:
        for number in range(3 * GROUP):
            journal.keep(ChunkCompleted(job="job-1", chunk=f"chunk-{number:03}", attempt="attempt-1"), {})
        assert await Outbox(journal, cast(Announcer, broker))._round() == 3 * GROUP
        assert len(broker.said) == GROUP


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
