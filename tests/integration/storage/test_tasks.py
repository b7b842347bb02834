"""Longer work: one worker at a time, found again when a worker dies, given up after enough tries."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from contracts.events import FramesRejected
from contracts.values import Picture
from services.chassis.clock import DatabaseClock
from services.chassis.verdicts import WorldAway
from services.storage.domain.task import TRIES, Task, TaskKind
from services.storage.repository import Tasks
from services.storage.repository.tasks import FORMER
from services.storage.work import Work
from tests.integration.storage.players import Lender, Renter
from tests.integration.world import Process, World
from tests.pictures import a_png
from tests.waiting import until

LANE = (TaskKind.PURGE,)


@pytest_asyncio.fixture(loop_scope="session")
async def database(world: World) -> AsyncIterator[Any]:
    database = world.database("tasks")
    yield database
    await database["tasks"].drop()


def a_task(name: str = "one") -> Task:
    return Task(f"purge:{name}", TaskKind.PURGE, name)


async def without_delay(database: Any) -> None:
    await database["tasks"].update_many({}, [{"$set": {"not_before": {"$subtract": ["$not_before", 3_600_000]}}}])


async def test_a_task_is_one_workers_at_a_time_and_of_its_lane(database: Any) -> None:
    tasks = Tasks(database, DatabaseClock(database))
    await tasks.add(a_task())
    await tasks.add(a_task())
    assert await tasks.take("films", (TaskKind.PACKAGE,)) is None
    taken = await asyncio.gather(*(tasks.take(f"worker {number}", LANE) for number in range(5)))
    (mine,) = [task for task in taken if task]
    assert (mine.id, mine.subject) == ("purge:one", "one")
    await tasks.done(mine)
    assert await database["tasks"].count_documents({}) == 0


async def test_a_lane_finds_its_own_tasks_by_an_index_and_the_former_one_is_gone(database: Any) -> None:
    await database["tasks"].create_index([("given_up", 1), ("not_before", 1)], name=FORMER)
    tasks = Tasks(database, DatabaseClock(database))
    for _ in range(2):
        await tasks.ensure_indexes()
    assert FORMER not in await database["tasks"].index_information()
    for number in range(20):
        await tasks.add(Task(f"frames:{number}", TaskKind.FRAMES, "attempt"))
    await tasks.add(a_task())
    asked = {"given_up": False, "kind": {"$in": list(LANE)}, "not_before": {"$lte": datetime.now(UTC) + timedelta(days=1)}}
    told = await database.command("explain", {"find": "tasks", "filter": asked, "sort": {"not_before": 1}})
    assert told["executionStats"]["totalDocsExamined"] == 1


async def test_a_dead_workers_task_goes_to_another_and_the_dead_one_can_do_nothing_more(database: Any) -> None:
    tasks = Tasks(database, DatabaseClock(database))
    await tasks.add(a_task())
    dead = await tasks.take("dead", LANE)
    assert dead is not None
    assert await tasks.renew(dead)
    past = dead.leased_until - timedelta(hours=1) if dead.leased_until else None
    await database["tasks"].update_one({"_id": dead.id}, {"$set": {"leased_until": past}})
    heir = await tasks.take("heir", LANE)
    assert heir is not None
    assert not await tasks.renew(dead)
    await tasks.done(dead)
    assert await database["tasks"].count_documents({"holder": "heir"}) == 1


async def test_our_failures_are_counted_and_the_worlds_are_not(database: Any) -> None:
    tasks = Tasks(database, DatabaseClock(database))
    await tasks.add(a_task())
    tried: list[int] = []
    told: list[str] = []

    async def fails(task: Task) -> None:
        tried.append(task.tries)
        raise WorldAway("the store is away") if len(tried) <= 3 else ValueError("ours")

    async def given_up(task: Task) -> None:
        told.append(task.subject)

    work = Work(tasks, {TaskKind.PURGE: fails}, {TaskKind.PURGE: given_up}, look_seconds=0)
    for _ in range(3 + TRIES):
        await work.all_due(LANE)
        await without_delay(database)
    await work.all_due(LANE)
    assert tried == [0, 0, 0, *range(TRIES)]
    assert told == ["one"]
    await tasks.add(a_task())
    await work.all_due(LANE)
    assert tried[3 + TRIES :] == [0], "asked for again, it has all its tries again"


async def test_pictures_too_large_to_look_at_while_a_message_waits_become_a_task(world: World, storage: Process) -> None:
    renter, lender = Renter(world), await Lender.enrolled(world)
    job, bundle = await renter.a_job()
    grant = lender.grant(job, bundle, picture=Picture(width=30_000, height=30_000))
    await lender.deliver(grant, {1: a_png()})
    told = await world.hear(FramesRejected, attempt=grant.attempt)
    assert told.frames[0].code == "wrong_dimensions"

    async def done() -> bool:
        left = await world.database("storage")["tasks"].count_documents({"kind": "frames"})
        return left == 0 and grant.attempt in storage.log.read_text()

    await until(done, "the task is done")
