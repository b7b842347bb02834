"""What the doorkeeper has not let in is answered when its agent is out, and all of it together."""

import asyncio
from typing import Any

from services.chassis.conduct import Limits
from services.chassis.disposal import Disposal
from services.chassis.doorkeeper import Doorkeeper, Misconduct
from tests.unit.chassis.messages import READY, Watched, watched

NOBODY: Any = None
"""Nothing is published here."""


def a_flood(disposal: Disposal, number: int, agent: str) -> tuple[list[Watched], list[asyncio.Task[None]]]:
    """What was not let in, and the tasks that it takes."""
    said = [watched(agent) for _ in range(number)]
    dropped = [message for message in said if not disposal.doorkeeper.admits(message, READY)]
    doings = [disposal.drop(message) for message in dropped]
    return dropped, [asyncio.create_task(doing) for doing in doings if doing is not None]


async def test_a_flood_is_one_task_and_stays_unanswered_until_its_agent_is_out() -> None:
    out, doorkeeper = asyncio.Event(), Doorkeeper("scheduler", Limits())

    async def report(misconduct: Misconduct) -> None:
        await out.wait()
        doorkeeper.shut([misconduct.agent])

    doorkeeper.reports_to(report)
    disposal = Disposal("scheduler", NOBODY, doorkeeper)
    dropped, tasks = a_flood(disposal, 1_000, "ann")
    others, more = a_flood(disposal, 1_000, "bob")
    assert (len(tasks), len(more)) == (1, 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(message.answered for message in (*dropped, *others))
    out.set()
    await asyncio.wait_for(asyncio.gather(*tasks, *more), 5)
    assert all(message.answered for message in (*dropped, *others))
    again, last = a_flood(disposal, 3, "ann")
    await asyncio.gather(*last)
    assert (len(again), len(last)) == (3, 1)
    assert all(message.answered for message in again)
