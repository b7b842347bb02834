"""One world and one storage process for all tests in this folder that do not break it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from infra.local.farmfile import FarmFile
from tests.integration.world import Process, World


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    it = World(farm)
    await it.open()
    yield it
    await it.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def storage(world: World) -> Process:
    return await world.start("storage")
