"""Fixtures of the attacks on objects: one storage with a bucket of its own, a job with its renter, a lender."""

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from infra.local.layout import Layout
from tests.integration.storage.players import Lender, Renter
from tests.integration.world import Process, World
from tests.security.depot import Depot


@dataclass(frozen=True)
class OpenJob:
    id: str
    bundle: str
    renter: Renter


def bucket(world: World) -> str:
    return f"test-{world.token}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def storage(world: World) -> AsyncIterator[Process]:
    process = await world.start("storage", FRAMELEND_S3_BUCKET=bucket(world))
    yield process
    process.stop()
    shutil.rmtree(Layout.of().data("s3") / bucket(world))


@pytest.fixture(scope="module")
def depot(world: World, storage: Process) -> Iterator[Depot]:
    it = Depot(world, bucket(world))
    yield it
    it.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def job(world: World, storage: Process) -> OpenJob:
    renter = Renter(world)
    return OpenJob(*await renter.a_job(), renter)


@pytest_asyncio.fixture(loop_scope="session")
async def lender(world: World) -> Lender:
    """A fresh one each time: what one is blamed for is not another's."""
    return await Lender.enrolled(world)
