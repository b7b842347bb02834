"""One world and one agent for all tests of this folder; who ends the agent need not start it again."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from infra.images.rendering import render_image_id
from infra.local.farmfile import FarmFile
from tests.integration.agent.goods import Store
from tests.integration.agent.stage import Stage
from tests.integration.world import Process, World


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    it = World(farm)
    await it.open()
    yield it
    await it.close()


@pytest.fixture(scope="package")
def image() -> str:
    return render_image_id()


@pytest.fixture(scope="package")
def store(world: World) -> Iterator[Store]:
    it = Store(world)
    yield it
    it.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(world: World, store: Store, image: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    agent, secret = await world.an_agent()
    keys = {"1": bytes.fromhex(world.farm["FARM_GRANT_KEY"])}
    yield Stage(world, store, image, agent, secret, tmp_path_factory.mktemp("agent"), keys)


@pytest_asyncio.fixture(loop_scope="session")
async def running(stage: Stage) -> Process:
    """The agent's process, started (again) if a test before has ended it."""
    return await stage.ready()
