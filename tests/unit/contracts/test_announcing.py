"""What is said together: each has an outcome of its own, also where one of them is more than a message may hold."""

import logging

import aio_pika
import pytest

from contracts.bus import Announcement, TooLarge
from contracts.events import FramesSealed
from contracts.topology import DEAD, MAX_MESSAGE_BYTES
from contracts.values import FrameRange
from tests.unit.contracts.broker import Broker


def a_seal(job: str, ranges: int = 1) -> Announcement:
    sealed = FramesSealed(job=job, account="ada", outcome="failed", frames=(FrameRange(first=1, last=1),) * ranges, count=ranges)
    return Announcement(sealed, id=f"about-{job}")


async def test_an_event_too_large_for_a_message_is_not_written_and_keeps_no_other_from_being_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = Broker()
    outcomes = await broker.announcer().announce_all([a_seal("one"), a_seal("vast", 10_000), a_seal("two")])
    assert broker.heard == ["about-one", "about-two"]
    assert (broker.closed, outcomes[0], outcomes[2]) == (0, None, None)
    assert isinstance(outcomes[1], TooLarge)
    [line] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert all(word in line.getMessage() for word in ("frames.sealed.v1", "about-vast", "of vast"))


async def test_an_event_too_large_for_a_message_is_too_large_alone_as_well() -> None:
    broker = Broker()
    with pytest.raises(TooLarge, match=r"frames\.sealed\.v1: too large"):
        await broker.announcer().announce(a_seal("vast", 10_000))
    await broker.announcer().announce(a_seal("one"))
    assert broker.heard == ["about-one"]


@pytest.mark.parametrize(("over", "heard"), [(0, ["moved"]), (1, [])])
async def test_what_fits_to_the_last_byte_is_written(over: int, heard: list[str]) -> None:
    broker, refused = Broker(), ""
    try:
        message = aio_pika.Message(b"x" * (MAX_MESSAGE_BYTES + over), message_id="moved", headers={"reason": "r" * 1_000})
        await broker.announcer().publish(DEAD, "intake", message)
    except TooLarge as why:
        refused = str(why)
    assert (broker.heard, bool(refused)) == (heard, bool(over))
    assert broker.closed == 0
