"""For all attacks on objects one storage, with a bucket of its own, that reaches the store over a wire; for each module a job."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from infra.local.farmfile import FarmFile
from infra.local.layout import Layout
from tests.faults.wire import Wire
from tests.integration.storage.players import Lender, Renter
from tests.integration.world import Process, World
from tests.security.objects.depot import Depot


@dataclass(frozen=True)
class OpenJob:
    id: str
    bundle: str
    renter: Renter


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    it = World(farm)
    await it.open()
    yield it
    await it.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def line(world: World) -> AsyncIterator[Wire]:
    it = Wire(world.farm.port("S3"))
    await it.open()
    yield it
    await it.close()


@pytest.fixture
def wire(line: Wire) -> Iterator[Wire]:
    """On which nothing is held when the test is over."""
    yield line
    line.release()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def storage(world: World, line: Wire) -> AsyncIterator[Process]:
    """Lenders and renters reach the store directly."""
    own, public, name = f"http://127.0.0.1:{line.port}", world.farm.http("S3"), _bucket(world)
    process = await world.start("storage", FRAMELEND_S3_BUCKET=name, FRAMELEND_S3_URL=own, FRAMELEND_S3_PUBLIC_URL=public)
    yield process
    await asyncio.to_thread(process.stop)  # what it still does goes over the wire
    shutil.rmtree(Layout.of().data("s3") / name)


@pytest.fixture(scope="package")
def depot(world: World, storage: Process) -> Iterator[Depot]:
    it = Depot(world, _bucket(world))
    yield it
    it.close()


def _bucket(world: World) -> str:
    return f"test-{world.token}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def job(world: World, storage: Process) -> OpenJob:
    renter = Renter(world)
    return OpenJob(*await renter.a_job(), renter)


@pytest_asyncio.fixture(loop_scope="session")
async def lender(world: World) -> Lender:
    """A fresh one each time: what one is blamed for is not another's."""
    return await Lender.enrolled(world)
