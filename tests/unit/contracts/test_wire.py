"""What the broker passes on ends no reader; what is not whole, or no message's, still does."""

import asyncio
import struct
from typing import Any

import pytest
from aiormq.connection import FrameReceiver
from aiormq.exceptions import InvalidFrameError
from pamqp import frame
from pamqp.commands import Basic, Connection
from pamqp.exceptions import PAMQPException
from pamqp.header import ContentHeader

from contracts.bus import Announcement
from contracts.events import AttemptVoid
from contracts.wire import MOST_HEADER_BYTES, strict
from tests.envelopes import BROKEN, HEADERS, UNREADABLE, Envelope, Key, nested, table

SENT = 77


def a_header(flag: int, words: bytes) -> bytes:
    return frame.marshal(ContentHeader(0, SENT, Envelope(flag, words, "ann")), 3)


async def received(*frames: bytes) -> list[tuple[int, int, Any]]:
    """By aiormq's own reader."""
    stream = asyncio.StreamReader()
    stream.feed_data(b"".join(frames))
    reader = FrameReceiver(stream)
    return [await reader.get_frame() for _ in frames]


@pytest.mark.parametrize("name", UNREADABLE)
def test_as_it_was_the_reader_ends(name: str) -> None:
    with pytest.raises((PAMQPException, RecursionError)):
        strict(a_header(*UNREADABLE[name]))


@pytest.mark.parametrize("name", BROKEN)
async def test_properties_nobody_can_read_are_none_and_the_next_frame_is_read(name: str) -> None:
    data, beat = a_header(*BROKEN[name]), bytes.fromhex("08000000000000ce")
    (size, channel, header), (_, _, after) = await received(data, beat)
    assert isinstance(header, ContentHeader)
    assert (size, channel, header.body_size) == (len(data), 3, SENT)
    assert header.properties == Basic.Properties()
    assert after.name == "Heartbeat"


async def test_what_an_event_carries_is_read_as_ever() -> None:
    stamps = Announcement(
        AttemptVoid(agent="ann", job="j", chunk="c", attempt="a", reason="because"), trace={"traceparent": "00-1"}
    ).properties("ann")
    deep = Basic.Properties(headers={"a": {"b": [{"c": 1}]}}, delivery_mode=2)
    read = await received(*[frame.marshal(ContentHeader(0, SENT, one), 3) for one in (stamps, deep)])
    assert [header.properties.marshal() for _, _, header in read] == [stamps.marshal(), deep.marshal()]


async def test_the_most_that_is_read_of_headers() -> None:
    """Nothing of ours comes near it."""
    room = MOST_HEADER_BYTES - len(a_header(HEADERS, table(b""))) + 8
    for more, is_read in ((0, True), (1, False)):
        ((_, _, header),) = await received(a_header(HEADERS, table(b"\x00S" + table(b"x" * (room - 6 + more)))))
        assert (header.properties.user_id == "ann") is is_read


async def test_a_delivery_under_a_key_that_is_no_text_is_still_its_senders() -> None:
    data = frame.marshal(Basic.Deliver("ctag1.1", 1 << 62, True, "farm.agents", Key("ann")), 3)
    with pytest.raises(PAMQPException):
        strict(data)
    ((size, channel, read),) = await received(data)
    assert (size, channel, read.routing_key) == (len(data), 3, "ann.\ufffd\ufffd")
    same = [getattr(read, name) for name in ("consumer_tag", "delivery_tag", "redelivered", "exchange")]
    assert same == ["ctag1.1", 1 << 62, True, "farm.agents"]


@pytest.mark.parametrize(
    "data",
    [
        a_header(HEADERS, nested(1_000))[:-1] + b"\x00",
        a_header(HEADERS, table(b"\x00V" * 50_000))[:-1] + b"\x00",
        struct.pack(">BHI", 2, 3, 4) + b"\x00<\x00\x00\xce",
        frame.marshal(Connection.Close(200, Key("why"), 0, 0), 0),
        struct.pack(">BHI", 1, 3, 4) + b"\x00<\x00\x63\xce",
    ],
    ids=["no end", "large, and no end", "too short", "no message's", "no such method"],
)
async def test_any_other_frame_that_cannot_be_read_ends_the_reader_as_before(data: bytes) -> None:
    with pytest.raises(InvalidFrameError):
        await received(data)
