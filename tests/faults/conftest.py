"""A farm to be killed and starved, one for all tests of this folder: each leaves it whole."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from infra.local.farmfile import FarmFile
from tests.faults.stage import Stage
from tests.integration.conftest import farm
from tests.integration.world import World

__all__ = ["farm"]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    it = World(farm)
    await it.open()
    yield it
    await it.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Services, house agent and two lenders' agents, running."""
    it = Stage(world, tmp_path_factory.mktemp("agents"))
    try:
        await it.open()
        yield it
    finally:
        await it.close()
