"""What the doorkeeper has not let in is answered when its agent is out, and all of it together."""

import asyncio
from typing import Any

from services.chassis.batches import BatchConsumer
from services.chassis.conduct import Limits
from services.chassis.delivery import Received
from services.chassis.disposal import Disposal
from services.chassis.doorkeeper import Doorkeeper, Misconduct
from tests.unit.chassis.messages import READY, Watched, watched

NOBODY: Any = None
"""Nothing is published here."""


def a_flood(disposal: Disposal, number: int, agent: str) -> tuple[list[Watched], int]:
    """What was not let in, and how many tasks that takes."""
    said = [watched(agent) for _ in range(number)]
    before = len(asyncio.all_tasks())
    dropped = [message for message in said if not disposal.doorkeeper.admits(message, READY)]
    telling = len(asyncio.all_tasks())
    for message in dropped:
        disposal.drop(message)
    assert telling - before <= 1
    return dropped, len(asyncio.all_tasks()) - telling


def a_cut_off(out: asyncio.Event) -> Disposal:
    """Of a service whose scheduler cuts an agent off once it is told to."""
    doorkeeper = Doorkeeper("scheduler", Limits())

    async def report(misconduct: Misconduct) -> None:
        await out.wait()
        doorkeeper.shut([misconduct.agent])

    doorkeeper.reports_to(report)
    return Disposal("scheduler", NOBODY, doorkeeper)


async def test_a_flood_is_one_task_and_stays_unanswered_until_its_agent_is_out() -> None:
    out = asyncio.Event()
    disposal = a_cut_off(out)
    dropped, tasks = a_flood(disposal, 1_000, "ann")
    others, more = a_flood(disposal, 1_000, "bob")
    assert (tasks, more) == (1, 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(message.answered for message in (*dropped, *others))
    out.set()
    await asyncio.wait_for(disposal.settled(), 5)
    assert all(message.answered for message in (*dropped, *others))
    again, last = a_flood(disposal, 3, "ann")
    await asyncio.wait_for(disposal.settled(), 5)
    assert (len(again), last) == (3, 1)
    assert all(message.answered for message in again)


async def test_what_trickles_in_of_who_is_out_is_answered_in_groups() -> None:
    """Each answer lets the broker send as many more: three by three a flood's tail would last as long as the flood."""
    disposal = a_cut_off(asyncio.Event())
    disposal.doorkeeper.shut(["ann"])
    said = [watched("ann") for _ in range(200)]
    groups = set[asyncio.Task[None]]()
    for message in said:
        assert not disposal.doorkeeper.admits(message, READY)
        disposal.drop(message)
        groups |= disposal._holding
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.wait_for(disposal.settled(), 5)
    assert all(message.answered for message in said)
    assert len(groups) <= 20


async def test_a_consumer_that_ends_with_its_channel_takes_nobodys_answer_along() -> None:
    """As aiormq does it: what its consumer tasks wait for is cancelled when the connection breaks."""
    out = asyncio.Event()
    disposal = a_cut_off(out)

    async def read(_: list[Received[Any]]) -> list[None]:
        raise AssertionError("nothing of hers is read")

    inbox: Any = BatchConsumer("scheduler", READY, read, disposal, 50)

    async def consume(message: Watched) -> None:
        inbox._arrive(message)
        await asyncio.Event().wait()

    while disposal.doorkeeper.admits(early := watched("ann"), READY):
        pass
    consumer = asyncio.create_task(consume(early))
    await asyncio.sleep(0)
    consumer.cancel()
    await asyncio.gather(consumer, return_exceptions=True)
    out.set()
    await asyncio.wait_for(disposal.settled(), 5)
    late = watched("ann")
    inbox._arrive(late)
    await asyncio.wait_for(disposal.settled(), 5)
    assert early.answered
    assert late.answered
