"""What every benchmark stands on: a quiet world of its own, and how long it may take (shorter forms for a first look)."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.local import farmfile
from infra.local.layout import Layout
from tests.integration.world import World

AS_IN_PRODUCTION = {"FRAMELEND_SWEEP_SECONDS": "5"}
"""Worlds of tests sweep every second, so that tests need not wait."""


def seconds(default: float) -> float:
    """Of one measured stretch; BENCH_SECONDS shortens it."""
    return float(os.environ.get("BENCH_SECONDS", default))


def repeats(default: int) -> int:
    """Of everything that is repeated; BENCH_REPEATS lowers it."""
    return int(os.environ.get("BENCH_REPEATS", default))


def number(name: str, default: int) -> int:
    """Of what is simulated; the environment may change it."""
    return int(os.environ.get(name, default))


@asynccontextmanager
async def a_world(listens: bool = False, shards: int = 1) -> AsyncIterator[World]:
    """A virtual host and databases in the farm that FARM_DIR names; gone afterwards."""
    world = World(farmfile.read(Layout.of()), listens, shards)
    await world.open()
    try:
        yield world
    finally:
        await world.close()
