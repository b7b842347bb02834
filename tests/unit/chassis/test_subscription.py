"""A subscription outlives its channel and its queue, answers each delivery once, and ends when it was stopped."""

import asyncio
from typing import Any, cast

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from services.chassis.arrivals import Arrival, Subscription, split

NOBODY: Any = None


class Wire:
    """Stands in for aiormq's channel: tags of deliveries go on as long as it does."""

    def __init__(self, cancels: BaseException | None = None) -> None:
        self.consumers: dict[str, Any] = {}
        self.on_consumer_cancel_callbacks = set[Any]()
        self.acked: list[tuple[int, bool]] = []
        self.is_closed, self.tag, self._cancels = False, 0, cancels

    async def basic_consume(self, queue: str, take: Any) -> Basic.ConsumeOk:
        self.consumers[name := f"{queue} {len(self.consumers)}"] = take
        return Basic.ConsumeOk(name)

    async def basic_cancel(self, tag: str, timeout: float | None = None) -> None:
        if self._cancels is not None:
            raise self._cancels
        del self.consumers[tag]

    async def basic_ack(self, tag: int, multiple: bool = False) -> None:
        self.acked.append((tag, multiple))

    async def deliver(self) -> None:
        self.tag += 1
        deliver = Basic.Deliver(consumer_tag="t", delivery_tag=self.tag, exchange="", routing_key="ann.pulse")
        header = ContentHeader(body_size=2, properties=Basic.Properties())
        *_, take = self.consumers.values()
        await take(DeliveredMessage(delivery=deliver, header=header, body=b"{}", channel=NOBODY))


class Robust:
    """Stands in for aio_pika's connection and its channel, which is made anew over another wire."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.is_closed, self.reopen_callbacks = wire, False, set[Any]()
        self.declaration_result = self
        self.message_count = 0

    async def channel(self) -> "Robust":
        return self

    async def set_qos(self, prefetch_count: int) -> None:
        """Not looked at."""

    async def get_queue(self, name: str, ensure: bool) -> "Robust":
        return self

    async def get_underlay_channel(self) -> Wire:
        return self.wire

    async def reopened(self, wire: Wire) -> None:
        self.wire = wire
        for told in self.reopen_callbacks:
            await told()
        for _ in range(5):
            await asyncio.sleep(0)


async def subscribed(wire: Wire) -> tuple[Subscription, Robust, list[Arrival]]:
    robust, came = Robust(wire), list[Arrival]()
    subscription = Subscription("inbox", 10, came.append)
    await subscription.start(cast(Any, robust))
    return subscription, robust, came


async def test_a_queue_that_was_taken_from_us_is_answered_for_in_one_count() -> None:
    """Two counts on a channel would each answer for the other's deliveries; the broker ends a channel for an unknown one."""
    wire = Wire()
    subscription, _, came = await subscribed(wire)
    await wire.deliver()
    for cancelled in wire.on_consumer_cancel_callbacks:
        await cancelled()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(wire.consumers) == 2
    await wire.deliver()
    await wire.deliver()
    await came[2].ack()
    await subscription.told()
    await came[0].ack()
    await came[1].ack()
    await subscription.told()
    assert wire.acked == [(3, False), (2, True)]


async def test_what_came_on_a_wire_that_is_gone_is_told_from_what_came_on_the_next() -> None:
    first, second = Wire(), Wire()
    _, robust, came = await subscribed(first)
    await first.deliver()
    first.is_closed = True
    await robust.reopened(second)
    await second.deliver()
    assert [one.is_gone for one in came] == [True, False]


async def test_who_was_stopped_does_not_subscribe_again_when_the_broker_comes_back() -> None:
    """It would hold messages that its successor waits for."""
    for cancels in (None, ConnectionResetError("gone"), TimeoutError()):
        first, second = Wire(cancels), Wire()
        subscription, robust, _ = await subscribed(first)
        await subscription.stop()
        await robust.reopened(second)
        assert not second.consumers


def test_answers_name_the_last_of_those_before_the_first_open_one() -> None:
    assert split([1, 2, 3], None) == (3, [])
    assert split([1, 3], 2) == (1, [3])
    assert split([3], 2) == (None, [3])
