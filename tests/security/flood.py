"""A farm in which one agent floods: a scheduler, honest simulated agents at work, and the flooder as a process of its own."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from contracts.events import EnrolmentRequested
from contracts.topology import dead_letters
from services.scheduler.broker import hashed
from tests.bench.enrolled import a_swarm
from tests.bench.paid import paid_jobs
from tests.bench.swarm import Swarm
from tests.integration.world import Process, World
from tests.waiting import until

FRAMES, IMAGE = 100_000, f"sha256:{'f' * 64}"
SCHEDULER = {"FRAMELEND_CHUNK_FRAMES": "1", "FRAMELEND_SETTLE_SECONDS": "3600", "FRAMELEND_RENDER_IMAGE": IMAGE}
"""Nobody stores what the simulated agents complete."""


@dataclass(frozen=True)
class Lender:
    """`url` is what its agent logs in with."""

    agent: str
    secret: str
    url: str


@dataclass(frozen=True)
class Flooded:
    world: World
    scheduler: Process
    swarm: Swarm

    async def a_lender(self) -> Lender:
        """Enrolled by the real event, with the real permissions."""
        agent, secret = f"loud-{uuid4().hex[:8]}", uuid4().hex
        self.world.forget_later(agent)
        salted = hashed(secret, os.urandom(4))
        await self.world.say("intake", EnrolmentRequested(agent=agent, owner="mallory", name="loud", secret_hash=salted))
        await until(lambda: self.is_in(agent, secret), f"{agent} may log in")
        return Lender(agent, secret, self.world.farm.amqp_url(agent, secret, self.world.vhost))

    async def is_in(self, agent: str, secret: str) -> bool:
        return not await self.world.refuses(agent, secret)

    async def operator(self, *words: str) -> None:
        """The operator's command, as he gives it."""
        action, agent = words
        command = (sys.executable, "-m", "services.scheduler.enrol", action, "--agent", agent)
        env = {"PATH": os.environ["PATH"], **self.world.environment("scheduler"), "FRAMELEND_HTTP_PORT": "0"}
        process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
        _, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()

    async def document(self, agent: str) -> dict[str, Any]:
        return await self.world.database("scheduler")["agents"].find_one({"_id": agent}) or {}

    async def is_alarmed(self) -> bool:
        """The broker has no memory left: nobody may publish."""
        url = f"{self.world.farm.http('RABBIT_MANAGEMENT')}/api/health/checks/local-alarms"
        async with httpx.AsyncClient(auth=self.world.farm.rabbit_admin, timeout=10, trust_env=False) as http:
            return (await http.get(url)).status_code == httpx.codes.SERVICE_UNAVAILABLE

    async def alarms_while(self, doing: "asyncio.Task[dict[str, Any]]") -> int:
        """At how many looks until it is done."""
        alarms = 0
        while not doing.done():
            alarms += await self.is_alarmed()
            await asyncio.wait({doing}, timeout=0.2)
        return alarms

    async def parked(self, service: str = "scheduler") -> int:
        """How many dead letters of a service lie there."""
        channel = await (await self.world.admin()).channel()
        queue = await channel.get_queue(dead_letters(service), ensure=True)
        return int(queue.declaration_result.message_count or 0)


async def metric(process: Process, name: str, **labels: str) -> float:
    """The sum of a metric's series with these labels."""
    text = (await asyncio.to_thread(httpx.get, f"{process.url}/metrics", timeout=10, trust_env=False)).text
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for found, value in lines if all(one in found for one in wanted))


@asynccontextmanager
async def flooding(
    lender: Lender, kind: str, seconds: float, longest: float = 60
) -> AsyncIterator["asyncio.Task[dict[str, Any]]"]:
    """The flooder at work; the task ends with what it tells."""
    command = (
        sys.executable,
        "-m",
        "tests.security.flooder",
        lender.url,
        lender.agent,
        kind,
        str(seconds),
        str(max(longest, seconds)),
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"

    async def told() -> dict[str, Any]:
        out, _ = await process.communicate(b"go\n")
        found: dict[str, Any] = json.loads(out)
        return found

    task = asyncio.create_task(told())
    try:
        yield task
    finally:
        if process.returncode is None and not task.done():
            process.kill()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def a_busy_farm(world: World, agents: int, **settings: str) -> AsyncIterator[Flooded]:
    """Every honest agent has a chunk in hand of a job that is long enough."""
    scheduler = await world.start("scheduler", **{**SCHEDULER, **settings})
    swarm = await a_swarm(world, agents, image=IMAGE)
    try:
        await swarm.open()
        await paid_jobs(world, swarm, 1, FRAMES)
        await swarm.all_hold(120)
        yield Flooded(world, scheduler, swarm)
    finally:
        await swarm.close()
