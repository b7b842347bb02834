"""Whose messages make a group: nobody's flood fills it, nothing is lost, and each one's order stays."""

import asyncio
from collections import Counter

import aio_pika
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.fair import FairQueue
from tests.unit.chassis.messages import a_message


def who(group: list[aio_pika.IncomingMessage]) -> list[str]:
    return [str(message.routing_key).partition(".")[0] for message in group]


def waiting(speakers: list[str], share: int | None) -> FairQueue[aio_pika.IncomingMessage]:
    queue = FairQueue[aio_pika.IncomingMessage](share)
    for tag, agent in enumerate(speakers):
        queue.put(a_message(agent, message_id=str(tag)))
    return queue


FLOOD = ["loud"] * 100 + ["ann", "bob"]


def test_who_speaks_behind_a_flood_is_in_the_first_group() -> None:
    assert who(waiting(FLOOD, 4).take(10)) == ["loud"] * 4 + ["ann", "bob"]


def test_without_shares_the_flood_comes_first() -> None:
    assert who(waiting(FLOOD, None).take(10)) == ["loud"] * 10


@given(
    st.lists(st.sampled_from(["ann", "bob", "cid"])),
    st.integers(1, 5),
    st.lists(st.integers(1, 9), min_size=1),
    st.integers(0, 60),
)
def test_nothing_is_lost_or_doubled_nobody_has_more_than_his_share_and_each_ones_order_stays(
    speakers: list[str], share: int, sizes: list[int], late: int
) -> None:
    first, rest = speakers[:late], speakers[late:]
    queue, taken, step = waiting(first, share), [], 0
    for tag, agent in enumerate(rest, len(first)):
        taken.append(queue.take(sizes[step % len(sizes)]))
        queue.put(a_message(agent, message_id=str(tag)))
        step += 1
    while len(queue):
        taken.append(queue.take(sizes[step % len(sizes)]))
        step += 1
    assert all(count <= share for group in taken for count in Counter(who(group)).values())
    flat = [message for group in taken for message in group]
    assert sorted(int(message.message_id or -1) for message in flat) == list(range(len(speakers)))
    for agent in set(speakers):
        tags = [int(message.message_id or -1) for message in flat if who([message]) == [agent]]
        assert tags == sorted(tags)


async def test_it_waits_for_as_many_as_are_asked_for() -> None:
    queue = waiting(["ann", "bob"], None)
    waits = asyncio.create_task(queue.some(4))
    for agent in ("cid", "dan"):
        await asyncio.sleep(0)
        assert not waits.done()
        queue.put(a_message(agent))
    await asyncio.wait_for(waits, 5)
    await asyncio.wait_for(queue.some(), 5)


async def test_it_waits_for_something_and_not_for_what_was_taken() -> None:
    queue = FairQueue[aio_pika.IncomingMessage]()
    waits = asyncio.create_task(queue.some())
    await asyncio.sleep(0)
    assert not waits.done()
    queue.put(a_message())
    await asyncio.wait_for(waits, 5)
    assert len(queue.take(1)) == 1
    again = asyncio.create_task(queue.some())
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()
