"""How soon the whole farm reacts: a loser is stopped, an emergency stop is carried out, a stored frame is seen.

Five services, three lenders' agents with real containers, one film. A loser is an attempt whose last missing frames have come
from another attempt: the bench says storage's word for that one, for the rest is as a copy of the chunk would have it.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import docker
import httpx

from contracts.events import FramesStored, StoredFrame
from contracts.topology import STORAGE
from services.intake.domain.framelists import parsed
from tests.bench.ear import Ear
from tests.bench.ground import AS_IN_PRODUCTION
from tests.farm.containers import ATTEMPT_LABEL, in_hand
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import accepted, submitted
from tests.integration.world import World
from tests.scenes import build_scenes
from tests.waiting import until

LENDERS = 3
FRAMES = "1-2000"
LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 50.0
WATCHED_FRAMES = 20
LOSER, STOP, SEEN = "loser stopped", "emergency stop", "frame visible"


class Watcher:
    """A renter's open page: when each frame was first shown as stored."""

    def __init__(self, farm: Farm, renter: Account, job: str) -> None:
        self._url, self._key = f"{farm.url}/v1/jobs/{job}/events", renter.key
        self.seen: dict[int, float] = {}
        self.since = float("inf")
        """Since when it is open; what was stored before is no news."""

    async def look(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        async with (
            httpx.AsyncClient(timeout=60, trust_env=False) as http,
            http.stream("GET", self._url, headers=headers) as answer,
        ):
            answer.raise_for_status()
            kind, self.since = "", time.time()
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                kind = value if name == "event" else kind
                if name == "data" and kind == "frames":
                    self._note(json.loads(value)["stored"])

    def _note(self, stored: str) -> None:
        for one in parsed(stored) if stored else ():
            for frame in one:
                self.seen.setdefault(frame, time.time())


async def farm_reactions(world: World, folder: Path, turns: int) -> dict[str, list[float]]:
    farm, ear = Farm(world, folder / "agents"), Ear(world, FramesStored)
    await ear.open()
    await farm.open(FRAMELEND_CHUNK_SECONDS="20", **AS_IN_PRODUCTION)
    await farm.lend("operator", "house", house=True)
    lender, renter = await farm.account("lena", "lender"), await farm.account("rita", credits=10_000)
    agents = [await farm.lend(lender.id, f"box-{number}", cpus=0.5) for number in range(LENDERS)]
    scenes = await asyncio.to_thread(build_scenes, folder / "scenes")
    job = await submitted(farm, renter, scenes / "bench_1s", FRAMES)
    await accepted(farm, renter, job, seconds=300)
    watcher = Watcher(farm, renter, job)
    looking = asyncio.create_task(watcher.look())
    engine = docker.DockerClient(base_url=world.farm["FARM_DOCKER_HOST"])
    try:
        losers = [await _loser(world, engine, job, agents) for _ in range(turns)]
        stops = [await _stop(farm, engine, job, agents) for _ in range(turns)]
        seen = await _seen(ear, watcher, job)
    finally:
        looking.cancel()
        engine.close()
    return {LOSER: losers, STOP: stops, SEEN: seen}


async def _seen(ear: Ear, watcher: Watcher, job: str) -> list[float]:
    """The farm renders on undisturbed: from storage's word on a frame until the page has it."""
    began = time.time()
    assert watcher.since < began, "the page is not open"

    def told() -> dict[int, float]:
        heard = ear.of(FramesStored, job=job)
        return {one.frame: at for at, fact in heard for one in fact.frames if at > began and one.key}

    await until(lambda: len(told()) >= WATCHED_FRAMES, "frames are stored", 180)
    asked = told()
    await until(lambda: asked.keys() <= watcher.seen.keys(), "every stored frame is seen on the page", PATIENCE_SECONDS)
    return [watcher.seen[frame] - at for frame, at in asked.items()]


async def _loser(world: World, engine: Any, job: str, agents: list[str]) -> float:
    held = await until(lambda: in_hand(world, job), "somebody renders", 120)
    attempt, (agent, frames) = next(iter(held.items()))
    chunk = await world.database("scheduler")["chunks"].find_one({"holder.attempt": attempt})
    other = next(one for one in agents if one != agent)
    pictures = tuple(
        StoredFrame(frame=frame, file_sha256="5e" * 32, pixel_sha256="5e" * 32, bytes=1, cpu_micros=1, key="") for frame in frames
    )
    stored = FramesStored(
        job=job, chunk=chunk["_id"], attempt=f"copy-{attempt}"[:64], agent=other, kind=chunk["kind"],
        generation=chunk["generation"], version=chunk["version"], frames=pictures,
    )  # fmt: skip
    return await _took(lambda: world.say(STORAGE, stored), lambda: not _containers(engine, f"{ATTEMPT_LABEL}={attempt}"))


async def _stop(farm: Farm, engine: Any, job: str, agents: list[str]) -> float:
    """From the operator's word at the door until no container of any agent is there."""

    async def all_work() -> bool:
        return len({agent for agent, _ in (await in_hand(farm.world, job)).values()}) == len(agents)

    await until(all_work, "every agent renders", 180)
    labels = [f"framelend.agent={one}" for one in agents]
    try:
        return await _took(lambda: _order(farm, "stop"), lambda: not any(_containers(engine, one) for one in labels))
    finally:
        await _order(farm, "resume")


async def _order(farm: Farm, order: str) -> None:
    headers = {"Authorization": f"Bearer {farm.operator}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        (await http.post(f"{farm.url}/v1/farm/orders", json={"order": order})).raise_for_status()


async def _took(order: Callable[[], Awaitable[None]], done: Callable[[], bool]) -> float:
    began = time.monotonic()
    await order()
    while not await asyncio.to_thread(done):
        assert time.monotonic() - began < PATIENCE_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def _containers(engine: Any, label: str) -> list[Any]:
    """Those that run."""
    return list(engine.containers.list(filters={"label": label}))
