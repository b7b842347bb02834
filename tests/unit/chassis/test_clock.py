"""The database's clock while the database is away: everybody is told, and nobody waits for those who asked before."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from services.chassis.clock import DatabaseClock

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Server:
    """Stands in for the driver's database: answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def command(self, what: str) -> Any:
        assert what == "hello"
        self.asked += 1
        return await self.answer


async def asking(clock: DatabaseClock, people: int) -> list["asyncio.Task[datetime]"]:
    asked = [asyncio.create_task(clock.now()) for _ in range(people)]
    for _ in range(3):
        await asyncio.sleep(0)
    return asked


async def test_all_who_wait_for_a_database_that_is_away_are_told_together() -> None:
    server = Server()
    asked = await asking(DatabaseClock(server), 5)
    server.answer.set_exception(ServerSelectionTimeoutError("nobody there"))
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in told] == [ServerSelectionTimeoutError] * 5
    assert server.asked == 1, "one after the other each would have waited for those before it"


async def test_after_a_failure_the_database_is_asked_again() -> None:
    server = Server()
    clock = DatabaseClock(server)
    server.answer.set_exception(ServerSelectionTimeoutError("nobody there"))
    with pytest.raises(ServerSelectionTimeoutError):
        await clock.now()
    server.answer = asyncio.get_running_loop().create_future()
    server.answer.set_result({"localTime": THEN})
    assert (await clock.now() - THEN).total_seconds() < 30
    await clock.now()
    assert server.asked == 2, "what was read half a minute ago serves"


async def test_one_who_goes_does_not_take_the_answer_from_the_others() -> None:
    server = Server()
    first, second = await asking(DatabaseClock(server), 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    server.answer.set_result({"localTime": THEN})
    assert (await second).year == THEN.year
    assert server.asked == 1
