"""How long a part takes from its start until it says that it is ready: each service by itself, infrastructure warm."""

import time

from contracts.topology import SERVICES
from tests.bench.ground import AS_IN_PRODUCTION, a_world, repeats
from tests.bench.report import publish, row
from tests.integration.world import World

TURNS = 5


async def main() -> None:
    async with a_world() as world:
        found = {name: [await _started(world, name) for _ in range(repeats(TURNS))] for name in SERVICES}
    publish("startup", [row(f"{name}, start to ready", "s", times) for name, times in found.items()])


async def _started(world: World, name: str) -> float:
    began = time.monotonic()
    bucket = {"FRAMELEND_S3_BUCKET": f"bench-{world.token}"} if name == "storage" else {}
    process = await world.start(name, **AS_IN_PRODUCTION, **bucket)
    took = time.monotonic() - began
    process.stop()
    return took
