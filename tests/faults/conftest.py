"""A farm to be killed, per test module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.farm.conftest import scenes
from tests.faults.stage import Stage
from tests.integration.conftest import farm, world
from tests.integration.world import World

__all__ = ["farm", "scenes", "world"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Services, house agent and two lenders' agents, running."""
    it = Stage(world, tmp_path_factory.mktemp("agents"))
    try:
        await it.open()
        yield it
    finally:
        await it.close()
