"""The containers that agents run for a job, as Docker and the scheduler know them."""

import asyncio
import subprocess

from contracts.values import FrameRange, frames
from tests.integration.world import World

ATTEMPT_LABEL = "framelend.attempt"


async def in_hand(world: World, job: str) -> dict[str, tuple[str, frozenset[int]]]:
    """Rendering attempts of the job that have a running container and hold their chunk: attempt → (agent, its frames)."""
    running = await asyncio.to_thread(_running, world.farm["FARM_DOCKER_HOST"])
    found = world.database("scheduler")["chunks"].find({"job": job, "kind": "render", "holder": {"$ne": None}})
    chunks = {chunk["holder"]["attempt"]: chunk async for chunk in found}
    return {
        attempt: (chunk["holder"]["agent"], frozenset(frames(tuple(FrameRange(**part) for part in chunk["frames"]))))
        for attempt, chunk in chunks.items()
        if attempt in running
    }


async def running(world: World, job: str) -> set[str]:
    """Attempts of the job, former ones too, whose container still runs."""
    known: set[str] = set()
    async for chunk in world.database("scheduler")["chunks"].find({"job": job}):
        known |= {chunk["holder"]["attempt"]} if chunk["holder"] else set()
        known |= {former["attempt"] for former in chunk["former"]}
    return known & await asyncio.to_thread(_running, world.farm["FARM_DOCKER_HOST"])


def _running(docker_host: str) -> set[str]:
    """Every attempt with a running container on this machine."""
    command = ["docker", "-H", docker_host, "ps", "--filter", f"label={ATTEMPT_LABEL}"]
    template = f'{{{{.Label "{ATTEMPT_LABEL}"}}}}'
    done = subprocess.run([*command, "--format", template], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
