"""The database goes away behind a running service: who asks is told so at once, and nothing must be started again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from tests.faults.wire import Wire
from tests.integration.intake_stage import connection
from tests.integration.world import Process, World
from tests.waiting import until


@dataclass(frozen=True)
class Behind:
    """An intake whose way to the database is a wire, and an operator at its door."""

    wire: Wire
    intake: Process
    http: httpx.AsyncClient

    async def answers(self) -> bool:
        return (await self.http.get("/v1/accounts")).status_code == 200

    async def is_told_so(self, seconds: float) -> None:
        answer = await self.http.get("/v1/accounts", timeout=seconds)
        assert answer.status_code == 503, answer.text
        told = answer.json()
        assert (told["fault"], told["type"]) == ("farm", "urn:framelend:problem:farm-away")
        assert answer.headers["retry-after"]


@pytest_asyncio.fixture(name="behind", scope="module", loop_scope="session")
async def behind_a_wire(world: World) -> AsyncIterator[Behind]:
    wire = Wire(world.farm.port("MONGO"))
    await wire.open()
    straight = world.environment("intake")["FRAMELEND_MONGO_URL"]
    wired = straight.replace(f":{world.farm.port('MONGO')}/", f":{wire.port}/")
    assert wired != straight
    # By its own name alone the driver would ask the replica set for another way.
    intake = await world.start("intake", FRAMELEND_MONGO_URL=f"{wired}&directConnection=true")
    async with connection(intake.url, world.farm["FARM_OPERATOR_KEY"]) as http:
        yield Behind(wire, intake, http)
    wire.flow()
    await wire.close()


async def test_a_request_is_told_that_the_database_is_away_and_served_when_it_is_back(behind: Behind) -> None:
    assert await behind.answers()
    await behind.wire.shut()
    await asyncio.gather(*(behind.is_told_so(15) for _ in range(5)))
    await behind.wire.open()
    await until(behind.answers, "the database is back, and requests are served", 60)
    assert not behind.intake.ended()


@pytest.mark.long
async def test_a_request_is_told_also_when_the_database_hangs(behind: Behind) -> None:
    assert await behind.answers()
    behind.wire.stall()
    await behind.is_told_so(35)
    behind.wire.flow()
    await until(behind.answers, "the database goes on, and requests are served", 60)
    assert not behind.intake.ended()
