"""A whole farm per test module, with a house agent and two lenders' agents."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from infra.local.farmfile import FarmFile
from tests.farm.farmhouse import Farm
from tests.integration.conftest import farm, world
from tests.integration.world import World
from tests.scenes import build_scenes

__all__ = ["farm", "world"]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory, farm: FarmFile) -> Path:
    """`<name>/scene.blend` for every test scene."""
    folder = tmp_path_factory.mktemp("scenes")
    return build_scenes(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Farm]:
    """Services and the house agent."""
    farm = Farm(world, tmp_path_factory.mktemp("agents"))
    await farm.open(FRAMELEND_CHUNK_SECONDS="4")
    await farm.lend("operator", "house", house=True)
    yield farm
