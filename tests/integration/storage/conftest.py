"""One world and one storage process, with a bucket of its own, for all tests in this folder that do not break it."""

import shutil
from collections.abc import AsyncIterator

import pytest_asyncio

from infra.local.farmfile import FarmFile
from infra.local.layout import Layout
from tests.integration.world import Process, World


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    it = World(farm)
    await it.open()
    yield it
    await it.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def storage(world: World) -> AsyncIterator[Process]:
    name = f"test-{world.token}"
    process = await world.start("storage", FRAMELEND_S3_BUCKET=name)
    yield process
    process.stop()
    shutil.rmtree(Layout.of().data("s3") / name)
