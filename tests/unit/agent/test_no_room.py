"""The disk is full and the reserve was taken, too: nothing is lost, and the program goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from agent.desk import Desk
from agent.domain import signals
from agent.domain.attempt import HeldFrame, Phase, Standing
from agent.journal import Journal, NoRoom
from agent.outbox import Outbox
from agent.runner import Runner
from agent.workplace import Workplace
from contracts.bus import Announcer
from contracts.events import ChunkReleased, Event, FramesRendered, Release
from tests.unit.agent.builders import IMAGE, a_grant, a_picture, an_assignment
from tests.unit.agent.test_keeping import WANTED, a_place
from tests.unit.agent.test_mailbox import Delivered, opened
from tests.unit.agent.test_moving import an_archive
from tests.unit.agent.test_outbox import Broker
from tests.waiting import until

GIVEN_BACK = ChunkReleased(job="job-1", chunk="chunk-1", attempt="attempt-1", reason=Release.STOPPED)


def test_what_cannot_be_written_is_refused_as_a_whole_and_written_when_there_is_room_again(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        pages = journal._db.execute("pragma page_count").fetchone()[0]
        journal._db.execute(f"pragma max_page_count = {pages}")
        journal.keep(GIVEN_BACK, {})
        kept = journal.depth()
        with pytest.raises(NoRoom):
            journal.keep(GIVEN_BACK, {"traceparent": "x" * 100_000})
        assert journal.depth() == kept
        journal._db.execute(f"pragma max_page_count = {pages + 100}")
        journal.keep(GIVEN_BACK, {})
        assert journal.depth() == kept + 1


async def test_a_message_that_cannot_be_written_down_waits_unanswered_and_is_taken_later() -> None:
    tried: list[int] = []
    message = Delivered(an_assignment())

    def take(event: Event, _: object, __: datetime | None) -> None:
        tried.append(message.acks)
        if len(tried) == 1:
            raise NoRoom

    mailbox = await opened(take, message)
    assert (tried, message.acks) == ([0, 0], 1)
    assert not mailbox.broken.is_set()


class FullAt(Journal):
    """Whose disk is full the first time that it is to do this."""

    what = always = ""

    def _now(self, what: str) -> None:
        if what == self.always:
            raise NoRoom
        if what == self.what:
            self.what = ""
            raise NoRoom

    def open_attempt(self, *words: Any) -> None:
        self._now("open an attempt")
        super().open_attempt(*words)

    def record(self, *words: Any) -> None:
        self._now("record")
        super().record(*words)

    def confirmed(self, *words: Any) -> None:
        self._now("cross off")
        super().confirmed(*words)


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Workplace]:
    """With a bundle at hand, and no slot free."""
    async with httpx.AsyncClient() as http:
        place = a_place(tmp_path, http)
        await place.cache.add(WANTED, an_archive(tmp_path / "a.zip", 400))
        yield place
        await place.background.finish(0)
        place.journal.close()


def given(place: Workplace, seconds: float) -> tuple[FullAt, Desk, Callable[[], None]]:
    """A desk with its journal, and an assignment that may be handed to it."""
    place.journal.close()
    place.journal = journal = FullAt(place.folders.journal)
    desk, sent = Desk(place), datetime.now(UTC)
    desk.images = (IMAGE,)
    told = an_assignment(grant=a_grant(1, bundle=WANTED, until=sent + timedelta(seconds=seconds)))
    return journal, desk, lambda: desk.take(told, {}, sent)


async def heard(said: Sequence[Mapping[str, Any]], words: str) -> None:
    """Returns when the log says so."""
    await until(lambda: words in [line["event"] for line in said], words)


async def at_its_slot(desk: Desk, take: Callable[[], None]) -> Runner:
    """The only attempt, given and fetched: it waits for a slot."""
    take()
    (runner,) = desk._runners.values()
    await until(lambda: runner.attempt.phase is Phase.RENDERING, "its bundle is known to be there")
    return runner


async def test_an_attempt_that_could_not_be_written_down_is_none_and_is_taken_when_there_is_room(place: Workplace) -> None:
    journal, desk, take = given(place, seconds=3_600)
    journal.what = "open an attempt"
    with pytest.raises(NoRoom):
        take()
    assert desk.in_hand() == ()
    take()
    assert [one.attempt for one in desk.in_hand()] == ["attempt-1"]
    assert [past.assignment.grant.attempt for past in journal.remembered()] == ["attempt-1"]


async def test_time_that_could_not_be_written_down_passes_when_there_is_room(place: Workplace) -> None:
    """The grant ends, and the attempt with it; at the second look that is so."""
    journal, desk, take = given(place, seconds=0.5)
    async with place.cache.turn(WANTED):  # the bundle never comes
        take()
        (runner,) = desk._runners.values()
        journal.always = "record"
        passing = asyncio.create_task(desk.run())
        full = "what comes of passing time waits: the disk is full"
        with capture_logs() as said:
            await heard(said, full)
        journal.always = ""
        await until(lambda: runner.attempt.phase is Phase.ENDED, "the end of its grant is known")
    assert not passing.done()
    passing.cancel()


async def test_one_attempt_that_cannot_be_written_down_keeps_no_other_and_none_is_taken_for_asleep(place: Workplace) -> None:
    """The other one's grant ends; the first one's clock has not stood still meanwhile."""
    journal, desk, take = given(place, seconds=0.5)
    async with place.cache.turn(WANTED):  # no bundle ever comes
        take()
        other = an_assignment(grant=a_grant(1, bundle=WANTED, attempt="attempt-2", until=datetime.now(UTC) + timedelta(hours=1)))
        desk.take(other, {}, datetime.now(UTC))
        first, second = desk._runners.values()
        journal.always = "record"
        passing = asyncio.create_task(desk.run())
        begun = place.now()
        await until(lambda: (second.attempt.looked_at or begun) > begun + 1.5, "others are looked at")
        assert (first.attempt.looked_at or begun) > begun + 0.2
        assert first.attempt.ending is None
        journal.always = ""
        await until(lambda: first.attempt.phase is Phase.ENDED, "the end of its grant is known")
        passing.cancel()


async def test_a_bundle_that_came_while_the_disk_was_full_is_known_when_there_is_room(place: Workplace) -> None:
    journal, desk, take = given(place, seconds=3_600)
    take()
    (runner,) = desk._runners.values()
    journal.always = "record"
    with capture_logs() as said:
        await heard(said, "an attempt waits: the disk is full")
    journal.always = ""
    await until(lambda: runner.attempt.phase is Phase.RENDERING, "its bundle is known to be there")
    assert not place.background.broken.is_set()


async def test_what_was_confirmed_and_could_not_be_crossed_off_is_said_again(tmp_path: Path) -> None:
    broker = Broker()
    with closing(FullAt(tmp_path / "journal.db")) as journal:
        journal.what = "cross off"
        journal.keep(GIVEN_BACK, {})
        outbox = Outbox(journal, cast(Announcer, broker))
        delivers = asyncio.create_task(outbox.run())
        await asyncio.wait_for(outbox.drained(), 30)
        delivers.cancel()
        assert (len(broker.times), journal.depth()) == (2, 0)


async def test_a_container_stands_still_and_is_ended_on_a_full_disk_though_something_is_to_be_told(place: Workplace) -> None:
    """A frame's upload address never came and is to be asked for again: that waits for room, its owner and the farm do not."""
    journal, desk, take = given(place, seconds=3_600)
    runner = await at_its_slot(desk, take)
    late = HeldFrame(a_picture(1), Standing.TOLD)
    runner.attempt = replace(runner.attempt, frames=(late,), container_since=place.now())
    journal.always = "record"
    with pytest.raises(NoRoom):
        journal.record(runner.attempt, runner.attempt, (), {})
    desk.freeze()
    assert runner.attempt.frozen_since is not None
    desk.thaw()
    assert runner.attempt.frozen_since is None
    runner.feed(signals.Withdrawn("cancelled"))
    assert runner.attempt.stopping is not None
    journal.always = ""
    assert runner.tick()
    assert [type(one.announcement.event) for one in journal.waiting(0, 10)] == [FramesRendered]


async def test_what_ends_an_attempt_is_not_taken_back_by_an_order_that_comes_while_it_waits_for_room(place: Workplace) -> None:
    """The operator stops the farm; somebody touches the mouse."""
    journal, desk, take = given(place, seconds=3_600)
    async with place.cache.turn(WANTED):  # no bundle ever comes
        take()
        (runner,) = desk._runners.values()
        journal.always = "record"
        runner.order(signals.Withdrawn("the farm was stopped by its operator"))
        desk.freeze()
        desk.thaw()
        assert runner.attempt.ending is None, "it waits"
        journal.always = ""
        await until(lambda: runner.attempt.phase is Phase.ENDED, "it is over")


async def test_what_its_owner_wants_is_carried_out_when_there_is_room_and_ends_no_program(place: Workplace) -> None:
    """The attempt waits for a slot; the word that it was not started any more cannot be written down at first either."""
    journal, desk, take = given(place, seconds=3_600)
    runner = await at_its_slot(desk, take)
    journal.always = "record"
    with capture_logs() as said:
        desk.give_back("its owner plays")
        await heard(said, "an attempt waits: the disk is full")
    journal.always = ""
    await until(lambda: runner.attempt.phase is Phase.ENDED, "it was given back")
    assert not place.background.broken.is_set()
    assert [type(one.announcement.event) for one in journal.waiting(0, 10)] == [ChunkReleased]
