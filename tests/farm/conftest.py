"""One whole farm for all tests of this folder, with a house agent; each module lends what it needs, and takes it back."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from infra.local.farmfile import FarmFile
from tests.farm.farmhouse import Farm
from tests.integration.conftest import farm
from tests.integration.world import World

__all__ = ["farm"]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    """A virtual host and databases of this folder's own."""
    it = World(farm)
    await it.open()
    yield it
    await it.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def opened(world: World, tmp_path_factory: pytest.TempPathFactory) -> Farm:
    """Services and the house agent."""
    farm = Farm(world, tmp_path_factory.mktemp("agents"))
    await farm.open(FRAMELEND_CHUNK_SECONDS="4")
    await farm.lend("operator", "house", house=True)
    return farm


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(opened: Farm) -> AsyncIterator[Farm]:
    """The farm as every module finds it: no agent but the house's."""
    before = set(opened.agents)
    yield opened
    for agent in set(opened.agents) - before:
        await opened.dismiss(agent)
