"""The scheduler as a process, with scripted agents: a job from its submission to `JobRendered`."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio
from aio_pika.abc import AbstractIncomingMessage

from contracts.bus import new_id, read
from contracts.events import (
    Action,
    AgentPulse,
    AgentReady,
    AttemptCancelled,
    AttemptInHand,
    ChunkAssigned,
    ChunkCompleted,
    CreditsHeld,
    DepositHeld,
    Event,
    FramesStored,
    InspectionReported,
    JobCancelled,
    JobControlled,
    JobEstimated,
    JobQuoted,
    JobRendered,
    JobStateChanged,
    JobSubmitted,
    SamplingMeasured,
    SceneFacts,
    StoredFrame,
)
from contracts.grants import Grant, is_good
from contracts.topology import AGENTS, BILLING, INTAKE, MAILBOXES, SCHEDULER, STORAGE, agent_permissions, mailbox
from contracts.values import Benchmark, FrameRange, Hardware, Kind, count, frames
from services.chassis.clock import DatabaseClock
from tests.integration.world import Process, World
from tests.waiting import until

IMAGE = "sha256:" + "a" * 64
GIB = 1 << 30


def some_facts(first: int = 1, last: int = 12) -> SceneFacts:
    return SceneFacts(
        blender_version="5.0.1", engine="CYCLES", scenes=("Scene",), cameras=("Camera",), frame_start=first, frame_end=last,
        width=480, height=270,
    )  # fmt: skip


def a_submission(**changes: object) -> JobSubmitted:
    fields = {
        "job": new_id(), "account": "ada", "name": "film", "bundle": "b" * 64, "bundle_bytes": 1000, "blend": "film.blend",
        "price_per_wu_micro": 100,
    }  # fmt: skip
    return JobSubmitted.model_validate({**fields, **changes})


@dataclass
class Scripted:
    """An agent that follows a script: it renders nothing, and storage's word is said for it."""

    world: World
    agent: str
    secret: str
    facts: SceneFacts = field(default_factory=some_facts)
    is_idle: bool = False
    """Takes assignments and does nothing with them."""
    run: str = field(default_factory=new_id)
    assigned: list[ChunkAssigned] = field(default_factory=list)
    cancelled: list[AttemptCancelled] = field(default_factory=list)
    held: dict[str, ChunkAssigned] = field(default_factory=dict)

    async def open(self) -> "Scripted":
        channel = await (await self.world.connect(self.agent, self.secret)).channel()
        queue = await channel.get_queue(mailbox(self.agent), ensure=True)
        await queue.consume(self._take)
        return self

    async def ready(self, slots: int = 1) -> None:
        said = AgentReady(
            run=self.run, slots=slots, attempts=tuple(self.held), hardware=Hardware(cores=1, memory_bytes=4 * GIB),
            benchmark=Benchmark(cpu_micros=1_000_000, wall_micros=1_000_000), images=(IMAGE,),
        )  # fmt: skip
        await self.world.say(self.agent, said)

    async def pulse(self) -> None:
        hands = tuple(AttemptInHand(attempt=a, chunk=one.grant.chunk, job=one.grant.job) for a, one in self.held.items())
        await self.world.say(self.agent, AgentPulse(run=self.run, attempts=hands))

    async def _take(self, message: AbstractIncomingMessage) -> None:
        await message.ack()
        event = read(str(message.type), message.body)
        if isinstance(event, ChunkAssigned):
            self.assigned.append(event)
            self.held[event.grant.attempt] = event
            if not self.is_idle:
                await self.work(event.grant)
        elif isinstance(event, AttemptCancelled):
            self.cancelled.append(event)
            self.held.pop(event.attempt, None)

    async def work(self, grant: Grant) -> None:
        if grant.kind is Kind.INSPECT:
            await self.world.say(self.agent, InspectionReported(grant=grant, facts=self.facts, cpu_micros=700_000))
        else:
            await self.world.say(STORAGE, stored(grant))
        self.held.pop(grant.attempt, None)
        await self.world.say(self.agent, ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))


def stored(grant: Grant, cpu_micros: int = 1_000_000) -> FramesStored:
    """What storage says when every frame of this grant has come."""
    each = tuple(
        StoredFrame(
            frame=frame, file_sha256="c" * 64, pixel_sha256="d" * 64, bytes=10_000, cpu_micros=cpu_micros, seconds=1.0,
            key=f"frames/{grant.job}/{frame}",
        )
        for frame in frames(grant.frames)
    )  # fmt: skip
    return FramesStored(
        job=grant.job, chunk=grant.chunk, attempt=grant.attempt, agent=grant.agent, kind=grant.kind,
        generation=grant.generation, version=grant.version, frames=each,
    )  # fmt: skip


SETTINGS = {"FRAMELEND_RENDER_IMAGE": IMAGE, "FRAMELEND_CHUNK_SECONDS": "3", "FRAMELEND_SETTLE_SECONDS": "3"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scheduler(world: World) -> AsyncIterator[Process]:
    yield await world.start(SCHEDULER, **SETTINGS)


async def enrolled(world: World, name: str, house: bool = False) -> Scripted:
    """Through the operator's command, as an operator does it."""
    agent = f"{name}-{world.token}"
    out = f"build/test-logs/{agent}.json"
    words = ["--agent", agent, "--owner", f"owner-of-{name}", "--name", name, "--out", out]
    words += ["--amqp", f"amqp://127.0.0.1:{world.farm.port('AMQP')}/{world.vhost}", *(["--house"] if house else [])]
    await operator(world, *words)
    credential = json.loads(Path(out).read_text())
    world._agents.append(agent)
    secret = credential["amqp_url"].split(":")[2].split("@")[0]
    await world.announcer(agent, secret)
    return await Scripted(world, agent, secret).open()


async def operator(world: World, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], **world.environment(SCHEDULER, **SETTINGS)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.scheduler.enrol", *words, env=env, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def deposited(world: World, asked: JobSubmitted) -> None:
    await world.say(INTAKE, asked)
    await world.say(BILLING, DepositHeld(job=asked.job, account=asked.account, amount_micro=10**6, micro_wu_limit=10**9))


async def accepted(world: World, asked: JobSubmitted) -> JobEstimated:
    estimate = await world.hear(JobEstimated, job=asked.job)
    quote = JobQuoted(
        job=asked.job, account=asked.account, version=estimate.version, price_micro=100, lines=(), micro_wu=estimate.micro_wu,
        seconds=estimate.seconds, expires_at=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    await world.say(BILLING, CreditsHeld(job=asked.job, account=asked.account, version=1, amount_micro=100), quote)
    return estimate


async def test_a_job_goes_from_submission_to_rendered_with_every_frame_stored_once(world: World, scheduler: Process) -> None:
    house, ann, bob = await enrolled(world, "house", True), await enrolled(world, "ann"), await enrolled(world, "bob")
    for agent in (house, ann, bob):
        await agent.ready()
    asked = a_submission()
    await deposited(world, asked)
    estimate = await accepted(world, asked)
    await world.hear(JobRendered, job=asked.job)
    given = [one for agent in (house, ann, bob) for one in agent.assigned if one.grant.job == asked.job]
    rendered = sorted(f for one in given if one.grant.kind in (Kind.SAMPLE, Kind.RENDER) for f in frames(one.grant.frames))
    assert rendered == list(range(1, 13))
    assert count(estimate.frames) == 7
    states = [one.state for one in world.said(JobStateChanged, job=asked.job)]
    assert states == ["submitted", "inspecting", "estimating", "quoted", "queued", "rendering", "packaging"]
