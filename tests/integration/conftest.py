"""Fixtures for tests on real components: the farm that is running, and a world of the test module's own in it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from infra.local import farmfile
from infra.local.farmfile import FarmFile
from infra.local.layout import Layout
from tests.integration.world import World


@pytest.fixture(scope="session")
def farm() -> FarmFile:
    """The infrastructure `make up` or `make test` started; FARM_DIR says which."""
    return farmfile.read(Layout.of())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    """A virtual host and databases of this module's own."""
    it = World(farm)
    await it.open()
    yield it
    await it.close()
