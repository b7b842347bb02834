"""A stage for the scheduler: its process, scripted agents that render nothing, and the other services' words said for them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import pytest_asyncio
from aio_pika.abc import AbstractIncomingMessage

from contracts.bus import NotAnnounced, new_id, read
from contracts.events import (
    AgentPulse,
    AgentReady,
    AttemptCancelled,
    AttemptInHand,
    AttemptVoid,
    ChunkAssigned,
    ChunkCompleted,
    ChunkFailed,
    CreditsHeld,
    DepositHeld,
    Fault,
    FramesStored,
    InspectionReported,
    JobEstimated,
    JobQuoted,
    JobSubmitted,
    SceneFacts,
    StoredFrame,
)
from contracts.grants import Grant
from contracts.topology import BILLING, INTAKE, SCHEDULER, STORAGE, mailbox
from contracts.values import Acceptance, Benchmark, Hardware, Kind, frames
from tests.integration.world import Process, World
from tests.waiting import until

IMAGE = "sha256:" + "a" * 64
GIB = 1 << 30
CORES = 256
"""Who brings a sample at once and says that it took a CPU second must have had cores for it: that many in four milliseconds."""


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
    file: Path
    """Its credential."""
    facts: SceneFacts = field(default_factory=some_facts)
    is_idle: bool = False
    """Takes assignments and does nothing with them."""
    is_silent: bool = False
    is_broken: bool = False
    """Fails at whatever it is given."""
    factor: float = 1.0
    """What a rendered frame costs, of what a sampled one did."""
    run: str = field(default_factory=new_id)
    assigned: list[ChunkAssigned] = field(default_factory=list)
    stopped: list[AttemptCancelled | AttemptVoid] = field(default_factory=list)
    held: dict[str, ChunkAssigned] = field(default_factory=dict)

    async def open(self) -> "Scripted":
        self.connection = await self.world.connect(self.agent, self.secret)
        self.world.speaks_over(self.agent, self.connection)
        channel = await self.connection.channel()
        queue = await channel.get_queue(mailbox(self.agent), ensure=True)
        await queue.consume(self.take)
        self._pulsing = asyncio.create_task(self._pulse())
        return self

    def close(self) -> None:
        self._pulsing.cancel()

    async def _pulse(self) -> None:
        while True:
            if not self.is_silent:
                with suppress(NotAnnounced):
                    await self.pulse()
            await asyncio.sleep(1)

    async def ready(self, slots: int = 1, accepts: Acceptance | None = None) -> None:
        said = AgentReady(
            run=self.run, slots=slots, attempts=tuple(self.held), hardware=Hardware(cores=CORES, memory_bytes=4 * GIB),
            benchmark=Benchmark(cpu_micros=1_000_000, wall_micros=1_000_000), images=(IMAGE,), accepts=accepts,
        )  # fmt: skip
        await self.world.say(self.agent, said)

    async def is_heard(self) -> bool:
        """Says that it is ready; False while its connection, which a refusal may have cost it, is not back."""
        try:
            await self.ready()
        except NotAnnounced:
            return False
        return True

    async def pulse(self) -> None:
        hands = tuple(AttemptInHand(attempt=a, chunk=one.grant.chunk, job=one.grant.job) for a, one in self.held.items())
        await self.world.say(self.agent, AgentPulse(run=self.run, attempts=hands))

    async def take(self, message: AbstractIncomingMessage) -> None:
        await message.ack()
        event = read(str(message.type), message.body)
        if isinstance(event, ChunkAssigned):
            self.assigned.append(event)
            self.held[event.grant.attempt] = event
            if not self.is_idle:
                await self.work(event.grant)
        elif isinstance(event, AttemptCancelled | AttemptVoid):
            self.stopped.append(event)
            self.held.pop(event.attempt, None)
            await self.ready()

    async def work(self, grant: Grant) -> None:
        if self.is_broken:
            await self.fail(grant)
            return
        if grant.kind is Kind.INSPECT:
            await self.world.say(self.agent, InspectionReported(grant=grant, facts=self.facts, cpu_micros=700_000))
        else:
            await self.world.say(STORAGE, stored(grant, int(1_000_000 * (self.factor if grant.kind is Kind.RENDER else 1.0))))
        self.held.pop(grant.attempt, None)
        await self.world.say(self.agent, ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))

    async def fail(self, grant: Grant) -> None:
        self.held.pop(grant.attempt, None)
        await self.world.say(
            self.agent, ChunkFailed(job=grant.job, chunk=grant.chunk, attempt=grant.attempt, fault=Fault.MACHINE, text="no disk")
        )


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


SETTINGS = {
    "FRAMELEND_RENDER_IMAGE": IMAGE, "FRAMELEND_CHUNK_SECONDS": "3", "FRAMELEND_SETTLE_SECONDS": "2",
    "FRAMELEND_LEASE_SECONDS": "4", "FRAMELEND_QUARANTINE_SECONDS": "1",
}  # fmt: skip


@dataclass
class Fleet:
    house: Scripted
    ann: Scripted
    bob: Scripted

    def all(self) -> tuple[Scripted, ...]:
        return self.house, self.ann, self.bob

    def given(self, job: str, *kinds: Kind) -> list[ChunkAssigned]:
        """Every assignment of this job so far."""
        every = [one for agent in self.all() for one in agent.assigned if one.grant.job == job]
        return [one for one in every if not kinds or one.grant.kind in kinds]


@pytest_asyncio.fixture(name="scheduler", scope="module", loop_scope="session")
async def the_scheduler(world: World) -> AsyncIterator[list[Process]]:
    """The process; a test that kills it puts the next one in its place."""
    yield [await world.start(SCHEDULER, **SETTINGS)]


@pytest_asyncio.fixture(name="fleet", scope="module", loop_scope="session")
async def the_fleet(world: World, scheduler: list[Process], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Enrolled by the operator's command, in one go; ready before the first test."""
    folder = tmp_path_factory.mktemp("credentials")
    house, ann, bob = await asyncio.gather(
        enrolled(world, folder, "house", house=True), enrolled(world, folder, "ann"), enrolled(world, folder, "bob")
    )
    for agent in (house, ann, bob):
        await agent.ready()
    yield Fleet(house, ann, bob)
    for agent in (house, ann, bob):
        agent.close()


@pytest_asyncio.fixture(name="willing", loop_scope="session")
async def the_willing(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet as every test wants to find it and leaves it: at work, heard, with free slots."""
    yield fleet
    for agent in fleet.all():
        agent.is_idle, agent.is_silent, agent.is_broken, agent.factor = False, False, False, 1.0
        agent.held.clear()
        await until(agent.is_heard, "it is ready again")


async def enrolled(world: World, folder: Path, name: str, house: bool = False) -> Scripted:
    """Through the operator's command, as an operator does it."""
    agent, out = f"{name}-{world.token}", folder / f"{name}.json"
    world.forget_later(agent)
    words = ["--agent", agent, "--owner", f"owner-of-{name}", "--name", name, "--out", str(out)]
    words += ["--amqp", f"amqp://127.0.0.1:{world.farm.port('AMQP')}/{world.vhost}", *(["--house"] if house else [])]
    code, said = await operator(world, *words)
    assert code == 0, said
    secret = await asyncio.to_thread(secret_in, out)
    return await Scripted(world, agent, secret, out).open()


def secret_in(file: Path) -> str:
    """Of a credential."""
    return unquote(str(urlsplit(json.loads(file.read_text())["amqp_url"]).password))


async def rotated(file: Path) -> tuple[int, str]:
    """Exit code and output of `framelend-agent rotate` on the machine that has this credential."""
    env = {"PATH": os.environ["PATH"], "HOME": str(file.parent), "FRAMELEND_AGENT_FILE": str(file)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent.cli", "rotate", env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return int(process.returncode or 0), out.decode()


async def operator(world: World, *words: str) -> tuple[int, str]:
    """Exit code and output of the command in the scheduler's own environment."""
    env = {"PATH": os.environ["PATH"], **world.environment(SCHEDULER, **SETTINGS)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.scheduler.enrol", *words, env=env, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return int(process.returncode or 0), out.decode()


def a_deposit(asked: JobSubmitted) -> DepositHeld:
    return DepositHeld(job=asked.job, account=asked.account, amount_micro=10**6, micro_wu_limit=10**9)


def a_hold(asked: JobSubmitted) -> CreditsHeld:
    return CreditsHeld(job=asked.job, account=asked.account, version=1, amount_micro=100)


def a_quote(estimate: JobEstimated) -> JobQuoted:
    return JobQuoted(
        job=estimate.job, account=estimate.account, version=estimate.version, price_micro=100, lines=(),
        micro_wu=estimate.micro_wu, seconds=estimate.seconds, expires_at=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip


async def quoted(world: World, asked: JobSubmitted) -> JobEstimated:
    """Through inspection and sampling to an accepted quote; the hold is said before the quote, which changes nothing."""
    await world.say(BILLING, a_deposit(asked))
    await world.say(INTAKE, asked)
    estimate = await world.hear(JobEstimated, job=asked.job)
    await world.say(BILLING, a_hold(asked), a_quote(estimate))
    return estimate


async def quoted_only(world: World, asked: JobSubmitted) -> JobEstimated:
    await world.say(INTAKE, asked)
    await world.say(BILLING, a_deposit(asked))
    return await world.hear(JobEstimated, job=asked.job)
