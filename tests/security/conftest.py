"""Attacks on real components: the farm that is running, and a world of the test module's own in it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from infra.local.farmfile import FarmFile
from tests.integration.conftest import farm, world
from tests.security.intruder import Stage

__all__ = ["farm", "stage", "world"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(farm: FarmFile) -> AsyncIterator[Stage]:
    """A broker with a hostile agent and its victim; whoever breaks what is there makes one of his own."""
    it = Stage(farm)
    it.open()
    yield it
    await it.close()
