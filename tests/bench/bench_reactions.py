"""How soon a machine is its owner's again, a cancelled container is gone, and a revoked agent is cut off (goal: two seconds);
and what farm_reactions asks of the whole farm.

The agent is the real one with a real container; its sensors read from a folder, so that somebody presses a key when the bench
says so. Times are read by looking at Docker every hundredth of a second.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import docker

from agent.control import ask
from agent.yielding import BUSY_SECONDS
from contracts.bus import new_id
from contracts.events import AgentEnrolled, AgentReady, ChunkAssigned, EnrolmentRequested, RevocationRequested
from contracts.topology import INTAKE, SCHEDULER
from services.scheduler.broker import hashed
from tests.bench.farm_reactions import STOP, farm_reactions
from tests.bench.ground import AS_IN_PRODUCTION, a_world, repeats
from tests.bench.report import publish, row
from tests.integration.agent.goods import Store, a_bundle
from tests.integration.agent.home import Home
from tests.integration.agent.stage import Stage
from tests.integration.world import World
from tests.scenes import build_scenes
from tests.waiting import until

TURNS = 7
LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 30.0
RULES = "[pause]\nidle_minutes = 0.01\ngive_back_minutes = 10\n"
GOAL = "goal 2 s"
GOALS = {STOP: "goal 5 s"}


async def main() -> None:
    turns = repeats(TURNS)
    async with a_world(listens=True) as world:
        with tempfile.TemporaryDirectory() as folder:
            found = await _lender(world, Path(folder), turns)
        found["revoked agent cut off"] = await _revoked(world, turns)
    with tempfile.TemporaryDirectory() as folder:
        async with a_world() as world:
            found |= await farm_reactions(world, Path(folder), turns)
    rows = [row(name, "s", times, note=GOALS.get(name, GOAL)) for name, times in found.items()]
    publish("reactions", rows)


async def _lender(world: World, folder: Path, turns: int) -> dict[str, list[float]]:
    image, store = world.farm["FARM_RENDER_IMAGE"], Store(world)
    agent, secret = await world.an_agent()
    (folder / "agent").mkdir()
    stage = Stage(world, store, image, agent, secret, folder / "agent", {"1": bytes.fromhex(world.farm["FARM_GRANT_KEY"])})
    home, engine = Home(stage), docker.DockerClient(base_url=world.farm["FARM_DOCKER_HOST"])
    home.settings(RULES)
    process = await stage.start(**home.roots())
    scenes = await asyncio.to_thread(build_scenes, folder / "scenes")
    try:
        return await _turns(home, engine, scenes, turns)
    finally:
        await asyncio.to_thread(process.stop)
        engine.close()
        store.close()


async def _turns(home: Home, engine: Any, scenes: Path, turns: int) -> dict[str, list[float]]:
    names = ("lender yields", "lender yields, `pause` typed", "cancel")  # by a key pressed at the machine, by a command, gone
    found: dict[str, list[float]] = {name: [] for name in names}
    own = home.stage.folder / "home"
    for turn in range(turns):
        assignment = await _at_work(home, scenes)
        container = engine.containers.get(home.stage.containers()[0])
        await asyncio.sleep(BUSY_SECONDS * turn / turns)  # at any moment between two looks of the agent
        began = time.monotonic()
        async with home.typing():
            found[names[0]].append(await _took(lambda: None, partial(_is, container, "paused"), began))
        await _took(lambda: None, partial(_is, container, "running"))
        found[names[1]].append(await _took(lambda: ask(own, {"order": "pause"}), partial(_is, container, "paused")))
        ask(own, {"order": "resume"})
        await _took(lambda: None, partial(_is, container, "running"))
        began = time.monotonic()
        await home.stage.world.say("scheduler", home.stage.cancel(assignment))
        found[names[2]].append(await _took(lambda: None, partial(_is, container, "gone"), began))
    return found


async def _at_work(home: Home, scenes: Path) -> ChunkAssigned:
    """A container renders, and nobody has been at the machine for a while."""
    stage = home.stage
    await until(lambda: [one.slots for one in stage.world.said(AgentReady)][-1:] == [1], "a slot is offered", 120)
    return await stage.rendering(a_bundle(scenes / "slow"), 1)


async def _took(order: Callable[[], Any], done: Callable[[], bool], began: float | None = None) -> float:
    began = time.monotonic() if began is None else began
    await asyncio.to_thread(order)
    while not await asyncio.to_thread(done):
        assert time.monotonic() - began < PATIENCE_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def _is(container: Any, state: str) -> bool:
    try:
        container.reload()
    except docker.errors.NotFound:
        return state == "gone"
    return str(container.status) == state or (state == "gone" and container.status in ("exited", "removing", "dead"))


async def _revoked(world: World, turns: int) -> list[float]:
    """From intake's word to the scheduler until the machine's own connection is closed by the broker."""
    await world.start(SCHEDULER, **AS_IN_PRODUCTION)
    return [await _one_revoked(world) for _ in range(turns)]


async def _one_revoked(world: World) -> float:
    agent, secret = f"agent-{uuid4().hex[:12]}", uuid4().hex
    world.forget_later(agent)
    asked = EnrolmentRequested(agent=agent, owner=new_id(), name="laptop", secret_hash=hashed(secret, os.urandom(4)))
    await world.say(INTAKE, asked)
    await world.hear(AgentEnrolled, agent=agent)
    connection = await aio_pika.connect(world.farm.amqp_url(agent, secret, world.vhost))
    closed = asyncio.Event()
    connection.close_callbacks.add(lambda *_: closed.set())
    began = time.monotonic()
    await world.say(INTAKE, RevocationRequested(agent=agent, by=asked.owner))
    await asyncio.wait_for(closed.wait(), PATIENCE_SECONDS)
    return time.monotonic() - began
