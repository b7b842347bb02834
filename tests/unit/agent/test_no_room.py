"""The disk is full and the reserve was taken, too: nothing is lost, and the program goes on."""

from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from agent.journal import Journal, NoRoom
from contracts.events import ChunkReleased, Event, Release
from tests.unit.agent.builders import an_assignment
from tests.unit.agent.test_mailbox import Delivered, opened

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
