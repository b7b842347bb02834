"""A database that is stopped properly tells writes in flight that it leaves, and that is the fault of nobody but the world.

The database is this test's own: the farm's must stay for the other tests."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import OperationFailure, PyMongoError

from infra.local.infrastructure import tool
from infra.local.layout import TOOLS
from services.chassis.grouping import GroupedWrites, Write
from services.chassis.verdicts import Verdict, verdict
from tests.integration.world import free_port
from tests.waiting import until

WRITERS = 40
NO_SUCH_TRANSACTION = 251


@pytest_asyncio.fixture(name="database", loop_scope="session")
async def its_own_database(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    binary, port = tool("mongod", *TOOLS.glob("venv/lib/python*/site-packages/fiftyone/db/bin/mongod")), free_port()
    where = ("--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--quiet", "--dbpath", str(tmp_path))
    small = ("--replSet", "one", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64")
    process = await asyncio.create_subprocess_exec(binary, *where, *small, stdout=asyncio.subprocess.DEVNULL)
    yield process, port
    if process.returncode is None:
        process.kill()
    await process.wait()


async def _founded(port: int) -> None:
    """A replica set of one, which takes writes."""
    operator: Any = AsyncIOMotorClient("127.0.0.1", port, directConnection=True)
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    await operator.admin.command("replSetInitiate", {"_id": "one", "members": members})

    async def leads() -> bool:
        return bool((await operator.admin.command("hello"))["isWritablePrimary"])

    await until(leads, "the database takes writes")
    operator.close()


async def _until_it_fails(grouped: GroupedWrites, id: str, written: list[int]) -> PyMongoError:
    version = 1
    while True:
        try:
            assert await grouped.write(Write(id, version, {"value": version}))
        except PyMongoError as problem:
            return problem
        written.append(version)
        version += 1


async def test_writes_in_flight_when_the_database_is_stopped_are_for_later_and_nobodys_fault(
    database: tuple[asyncio.subprocess.Process, int],
) -> None:
    process, port = database
    await _founded(port)
    client: Any = AsyncIOMotorClient(f"mongodb://127.0.0.1:{port}/?replicaSet=one", serverSelectionTimeoutMS=2_000)
    things, written = client.stopped.things, list[int]()
    await things.insert_many([{"_id": str(number), "_version": 1, "_writers": []} for number in range(WRITERS)])
    groups = [GroupedWrites(things) for _ in range(8)]  # several writes in flight at the same time
    writers = [asyncio.create_task(_until_it_fails(groups[at % 8], str(at), written)) for at in range(WRITERS)]
    await until(lambda: len(written) >= 10 * WRITERS, "writing goes on")
    process.terminate()
    problems = await asyncio.wait_for(asyncio.gather(*writers), 60)
    client.close()
    assert {verdict(problem) for problem in problems} == {Verdict.WORLD}, problems[:3]


async def test_a_transaction_that_the_database_has_forgotten_when_it_is_committed_is_for_later_and_kept_nothing(
    database: tuple[asyncio.subprocess.Process, int],
) -> None:
    """As after a kill and a restart between its last write and its commit."""
    _, port = database
    await _founded(port)
    client: Any = AsyncIOMotorClient(f"mongodb://127.0.0.1:{port}/?replicaSet=one")

    async def write(session: Any) -> None:
        await client.stopped.things.insert_one({"_id": "one"}, session=session)
        await client.admin.command("killSessions", [session.session_id])

    async with await client.start_session() as session:
        with pytest.raises(OperationFailure) as problem:
            await session.with_transaction(write)
    assert problem.value.code == NO_SUCH_TRANSACTION
    assert verdict(problem.value) is Verdict.WORLD
    assert await client.stopped.things.count_documents({}) == 0
    client.close()
