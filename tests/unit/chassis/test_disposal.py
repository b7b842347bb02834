"""A message that is at fault harms none of those taken with it, whatever its envelope holds."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiormq.abc import DeliveredMessage
from pamqp import frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from contracts.bus import Announcer
from contracts.events import AgentPulse, AgentReady, ChunkCompleted, ChunkReleased, Event, Release
from contracts.topology import AGENTS, route
from contracts.wire import MOST_HEADER_BYTES
from services.chassis.arrivals import Answers, Arrival, Message
from services.chassis.batches import TRANSIENT_LINGER_SECONDS, BatchConsumer
from services.chassis.conduct import Limits
from services.chassis.delivery import INBOX, REASON, REFUSED, RETRY, VERDICT, Received
from services.chassis.disposal import Disposal, _moved
from services.chassis.doorkeeper import Doorkeeper
from services.chassis.inbox import Inboxes
from services.chassis.service import _stop
from services.chassis.verdicts import WorldAway
from tests.unit.chassis.messages import READY, Watched, a_message, delivered
from tests.waiting import until

NOBODY: Any = None
TRACES: tuple[Any, ...] = (b"\xff\xfe", 7, ["00"], {"00": b"\xff"}, "é" * 5_000, "00-fine")
"""Of these the first is what the wire's decoding gives for a long string that is no text."""
A_PULSE = AgentPulse(run="run").model_dump_json().encode()
GOOD = ChunkCompleted(job="j", chunk="c", attempt="a").model_dump_json().encode()


class Stuck(asyncio.Queue[Any]):
    """Nothing can be written to it."""

    async def put(self, item: Any) -> None:
        raise TypeError("it cannot be written")


class Channel:
    """Stands in for aiormq's: confirms everything at once, unless it is broken."""

    number, max_content_size, delivery_tag = 1, 100_000, 0
    is_closed = False

    def __init__(self, is_broken: bool = False) -> None:
        self.lock, self.write_queue = asyncio.Lock(), Stuck() if is_broken else asyncio.Queue[Any]()
        self.confirmations: dict[int, Any] = {}
        self.message_id_delivery_tag: dict[str, int] = {}
        self.answered, self.returned = set[int](), set[int]()

    def create_future(self) -> "asyncio.Future[Any]":
        confirmed = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed

    async def basic_ack(self, tag: int, multiple: bool = False) -> None:
        self.answered.update(range(1, tag + 1) if multiple else [tag])

    async def basic_nack(self, tag: int, requeue: bool = True) -> None:
        assert requeue
        self.returned.add(tag)


class OnChannel(Announcer):
    """An announcer without a connection."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(NOBODY, "scheduler")
        self._only: Any = channel

    async def _underlay(self) -> Any:
        return self._only


def a_disposal(channel: Channel) -> Disposal:
    return Disposal("scheduler", OnChannel(channel), Doorkeeper("scheduler", Limits()))


def arrived(answers: Answers, tag: int, agent: str, body: bytes, event: type[Event] = ChunkCompleted, **headers: Any) -> Arrival:
    deliver = Basic.Deliver(consumer_tag="t", delivery_tag=tag, exchange=AGENTS, routing_key=f"{agent}.{event.key()}")
    header = ContentHeader(body_size=len(body), properties=Basic.Properties(user_id=agent, headers=headers))
    answers.came(tag)
    return Arrival(DeliveredMessage(delivery=deliver, header=header, body=body, channel=NOBODY), answers)


async def handle(channel: Channel, group: Sequence[Message], event: type[Event] = ChunkCompleted) -> list[str]:
    """Whose messages were handled."""
    heard: list[str] = []

    async def handler(batch: list[Received[Any]]) -> list[BaseException | None]:
        heard.extend(one.sender for one in batch)
        return [None] * len(batch)

    await BatchConsumer("scheduler", route(event), handler, a_disposal(channel), 500)._group(group)
    return heard


@pytest.mark.parametrize("trace", TRACES)
async def test_a_trace_that_is_none_keeps_nobodys_message_from_being_handled(trace: Any) -> None:
    channel: Any = Channel()
    answers = Answers(channel)
    honest = [arrived(answers, tag, f"ann{tag}", GOOD) for tag in (1, 2, 4, 5)]
    hostile = arrived(answers, 3, "eve", b"{}", traceparent=trace, tracestate=trace)
    assert await handle(channel, [*honest[:2], hostile, *honest[2:]]) == ["ann1", "ann2", "ann4", "ann5"]
    await answers.told()
    assert (channel.answered, channel.returned) == ({1, 2, 3, 4, 5}, set())
    assert channel.write_queue.qsize() == 1, "the example of a faulty message is parked"


def test_the_longest_message_that_we_park_is_one_that_is_read() -> None:
    wide, name = "\U00010348" * 1_000, "x" * 255
    words: dict[str, Any] = dict.fromkeys(("message_id", "message_type", "correlation_id", "content_type"), name)
    message = a_message("ann", headers={"traceparent": wide, "tracestate": wide}, **words)
    story: dict[str, str | int] = {INBOX: name, REASON: wide, VERDICT: name, REFUSED: name, RETRY: 1 << 31}
    parked = ContentHeader(body_size=1, properties=_moved(message, READY, story).properties)
    assert len(frame.marshal(parked, 1)) < MOST_HEADER_BYTES


@pytest.mark.parametrize("trace", TRACES)
async def test_nor_does_it_end_the_consumer_of_an_inbox_that_is_taken_one_by_one(trace: Any) -> None:
    inboxes, message = Inboxes("scheduler"), Watched(delivered("eve", user_id="eve", headers={"traceparent": trace}))
    inboxes.broker("amqp://nowhere", a_disposal(Channel()))

    async def read(_: Received[Any]) -> None:
        raise AssertionError("it says nothing")

    await inboxes._one(message, READY, read)
    assert message.answered


@pytest.mark.parametrize(("event", "answered", "returned"), [(ChunkCompleted, {1}, {2}), (AgentPulse, {1, 2}, set[int]())])
async def test_what_cannot_be_disposed_of_goes_back_where_its_deliveries_are_counted(
    event: type[Event], answered: set[int], returned: set[int]
) -> None:
    channel: Any = Channel(is_broken=True)
    answers = Answers(channel)
    good = GOOD if event is ChunkCompleted else b'{"run":"r"}'
    group = [arrived(answers, 1, "ann", good, event), arrived(answers, 2, "eve", b"{", event)]
    assert await handle(channel, group, event) == ["ann"]
    await answers.told()
    assert (channel.answered, channel.returned) == (answered, returned)


async def test_an_agents_message_whose_world_stays_away_keeps_none_of_the_others() -> None:
    inboxes, channel, heard = Inboxes("scheduler"), Channel(), list[str]()

    @inboxes.on_agent(ChunkReleased)
    async def on_chunk_released(agent: str, _: ChunkReleased) -> None:
        if agent.startswith("eve"):
            raise WorldAway("for her, for minutes")
        heard.append(agent)

    ((row, handler, most),) = inboxes.batches
    assert (row, most) == (route(ChunkReleased), 1)
    consumer = BatchConsumer("scheduler", row, handler, a_disposal(channel), most)
    said = ChunkReleased(job="job", chunk="chunk", attempt="attempt", reason=Release.STOPPED).model_dump_json().encode()
    answers, names = Answers(cast(Any, channel)), [f"eve{at}" for at in range(10)] + [f"ann{at}" for at in range(20)]
    for tag, name in enumerate(names, 1):
        consumer._arrive(arrived(answers, tag, name, said, ChunkReleased))
    running = asyncio.create_task(consumer.run())
    try:
        await until(lambda: len(heard) == 20, "everybody else is heard", 5)
        await until(lambda: channel.answered == set(range(11, 31)), "and answered for", 5)
    finally:
        for task in (running, *consumer._running):
            task.cancel()
        await asyncio.gather(running, *consumer._running, return_exceptions=True)


async def test_what_came_on_a_channel_that_is_gone_is_not_handled() -> None:
    """The broker has it back, and hands it out once more on the next."""
    heard: list[str] = []

    async def handler(batch: list[Received[Any]]) -> list[None]:
        heard.extend(one.sender for one in batch)
        return [None] * len(batch)

    gone, channel = Channel(), Channel()
    consumer = BatchConsumer("scheduler", route(ChunkCompleted), handler, a_disposal(channel), 500)
    for tag, (agent, on) in enumerate((("eve", gone), ("ann", channel)), 1):
        consumer._arrive(arrived(Answers(cast(Any, on)), tag, agent, GOOD))
    gone.is_closed = True
    running = asyncio.create_task(consumer.run())
    await until(lambda: channel.answered == {1, 2}, "what came on the new one is answered", 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert heard == ["ann"]
    assert not gone.answered


async def test_a_group_does_not_linger_once_it_is_full() -> None:
    """What may be lost waits for company, but not for more than it can take."""
    groups: list[int] = []

    async def handler(batch: list[Received[Any]]) -> list[None]:
        groups.append(len(batch))
        return [None] * len(batch)

    channel = Channel()
    consumer = BatchConsumer("scheduler", route(AgentPulse), handler, a_disposal(channel), 10)
    assert consumer._linger == TRANSIENT_LINGER_SECONDS
    consumer._linger = 3600
    answers = Answers(cast(Any, channel))
    running = asyncio.create_task(consumer.run())
    for tag in range(1, 13):
        for _ in range(3):
            await asyncio.sleep(0)  # the first is found to be alone
        consumer._arrive(arrived(answers, tag, f"ann{tag}", A_PULSE, AgentPulse))
    await until(lambda: channel.answered == set(range(1, 11)), "the full group is handled", 5)
    assert groups == [10], "the others wait for company"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Breaks:
    """A subscription whose connection breaks while it takes its leave; aiormq cancels what waits for an answer."""

    async def stop(self) -> None:
        raise asyncio.CancelledError

    async def told(self) -> None:
        """Nothing is left to tell."""


async def test_a_consumer_that_cannot_take_its_leave_waits_for_what_it_has_begun() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), list[int]()

    async def handler(batch: list[Received[Any]]) -> list[None]:
        begun.set()
        await may_end.wait()
        ended.append(len(batch))
        return [None] * len(batch)

    channel = Channel()
    consumer = BatchConsumer("scheduler", route(ChunkCompleted), handler, a_disposal(channel), 500)
    cast(Any, consumer)._subscription = Breaks()
    consumer._arrive(arrived(Answers(cast(Any, channel)), 1, "ann", GOOD))
    running = asyncio.create_task(consumer.run())
    await asyncio.wait_for(begun.wait(), 5)
    stopping = asyncio.create_task(_stop([consumer]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not stopping.done()
    may_end.set()
    await asyncio.wait_for(stopping, 5)
    assert ended == [1]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_consumer_that_was_stopped_begins_nothing_more() -> None:
    """What it had taken and not begun goes to whoever comes next."""

    async def handler(batch: list[Received[Any]]) -> list[None]:
        raise AssertionError("it is not to be begun")

    consumer = BatchConsumer("scheduler", READY, handler, a_disposal(Channel()), 500)
    running = asyncio.create_task(consumer.run())
    await asyncio.sleep(0)
    await consumer.stop()
    consumer._arrive(arrived(Answers(cast(Any, Channel())), 1, "ann", b"{}", AgentReady))
    await asyncio.wait_for(running, 5)
    assert not consumer._running
