"""A message is acked whatever becomes of it; one that is beyond us is said, and ends the process."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from agent.app import _until_not_taken
from agent.mailbox import Mailbox, Taker
from contracts.events import AgentPulse, Event
from tests.unit.agent.builders import an_assignment


class Delivered:
    """As the broker's library hands it out: the channel takes the ack."""

    def __init__(self, event: Event, body: bytes | None = None) -> None:
        self.type, self.headers, self.timestamp = event.key(), {"traceparent": "00-1"}, None
        self.body = event.model_dump_json().encode() if body is None else body
        self.acks = 0

    async def ack(self) -> None:
        self.acks += 1


async def opened(take: Taker, message: Delivered) -> Mailbox:
    """A mailbox from which this message was handed out."""
    heard: list[Any] = []

    async def consume(take: Any) -> None:
        heard.append(take)

    async def channel() -> Any:
        return SimpleNamespace(set_qos=nothing, get_queue=queue)

    async def queue(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(consume=consume)

    async def nothing(**_: Any) -> None: ...

    mailbox = Mailbox(cast(Any, SimpleNamespace(channel=channel)), "agent-1", take)
    await mailbox.open()
    await heard[0](message)
    return mailbox


def beyond_us(event: Event, _: Mapping[str, str], __: datetime | None) -> None:
    raise RuntimeError(f"nobody has thought of {event.key()}")


async def test_a_message_that_is_beyond_us_is_acked_said_and_ends_the_process() -> None:
    message = Delivered(an_assignment())
    with capture_logs() as said:
        mailbox = await opened(beyond_us, message)
    await asyncio.wait_for(_until_not_taken(mailbox), 10)
    assert message.acks == 1, "the next run does not get it again"
    assert [(line["log_level"], line["event_key"], str(line["exc_info"])) for line in said] == [
        ("error", message.type, f"nobody has thought of {message.type}")
    ]


@pytest.mark.parametrize(
    ("message", "times"),
    [
        (Delivered(an_assignment()), 1),
        (Delivered(an_assignment(), b"{"), 0),
        (Delivered(AgentPulse(run="run", attempts=(), load=0.0, uptime_seconds=1.0)), 0),
    ],
    ids=["taken", "unreadable", "not for agents"],
)
async def test_what_others_send_ends_no_process(message: Delivered, times: int) -> None:
    taken: list[Event] = []
    mailbox = await opened(lambda event, *_: taken.append(event), message)
    assert not mailbox.broken.is_set()
    assert (message.acks, len(taken)) == (1, times)
