"""The scheduler as a process, with scripted agents: a job from its submission to `JobRendered`."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import ChannelAccessRefused

from contracts.bus import Announcement, Announcer, NotAnnounced, new_id, read
from contracts.events import (
    Action,
    AgentChanged,
    AgentEnrolled,
    AgentPulse,
    AgentReady,
    AgentRevoked,
    AttemptCancelled,
    AttemptInHand,
    AttemptVoid,
    ChunkAssigned,
    ChunkCompleted,
    CreditsHeld,
    DepositHeld,
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
from contracts.topology import BILLING, INTAKE, SCHEDULER, STORAGE, mailbox
from contracts.values import Benchmark, FrameRange, Hardware, Kind, count, frames
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
    is_silent: bool = False
    run: str = field(default_factory=new_id)
    assigned: list[ChunkAssigned] = field(default_factory=list)
    stopped: list[AttemptCancelled | AttemptVoid] = field(default_factory=list)
    held: dict[str, ChunkAssigned] = field(default_factory=dict)

    async def open(self) -> "Scripted":
        self.connection = await self.world.connect(self.agent, self.secret)
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

    async def ready(self, slots: int = 1) -> None:
        said = AgentReady(
            run=self.run, slots=slots, attempts=tuple(self.held), hardware=Hardware(cores=1, memory_bytes=4 * GIB),
            benchmark=Benchmark(cpu_micros=1_000_000, wall_micros=1_000_000), images=(IMAGE,),
        )  # fmt: skip
        await self.world.say(self.agent, said)

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


SETTINGS = {
    "FRAMELEND_RENDER_IMAGE": IMAGE, "FRAMELEND_CHUNK_SECONDS": "3", "FRAMELEND_SETTLE_SECONDS": "2",
    "FRAMELEND_LEASE_SECONDS": "4",
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scheduler(world: World) -> AsyncIterator[list[Process]]:
    """The process; a test that kills it puts the next one in its place."""
    yield [await world.start(SCHEDULER, **SETTINGS)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(world: World, scheduler: list[Process], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
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


@pytest_asyncio.fixture(loop_scope="session")
async def willing(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet as every test wants to find it and leaves it: at work, heard, with free slots."""
    yield fleet
    for agent in fleet.all():
        agent.is_idle, agent.is_silent = False, False
        agent.held.clear()
        await agent.ready()


async def enrolled(world: World, folder: Path, name: str, house: bool = False) -> Scripted:
    """Through the operator's command, as an operator does it."""
    agent, out = f"{name}-{world.token}", folder / f"{name}.json"
    world.forget_later(agent)
    words = ["--agent", agent, "--owner", f"owner-of-{name}", "--name", name, "--out", str(out)]
    words += ["--amqp", f"amqp://127.0.0.1:{world.farm.port('AMQP')}/{world.vhost}", *(["--house"] if house else [])]
    code, said = await operator(world, *words)
    assert code == 0, said
    secret = str(urlsplit(json.loads(await asyncio.to_thread(out.read_text))["amqp_url"]).password)
    await world.announcer(agent, secret)
    return await Scripted(world, agent, secret).open()


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


async def test_a_job_goes_from_submission_to_rendered_with_every_frame_given_once(world: World, willing: Fleet) -> None:
    asked = a_submission()
    estimate = await quoted(world, asked)
    await world.hear(JobRendered, job=asked.job)
    given = willing.given(asked.job, Kind.SAMPLE, Kind.RENDER)
    assert sorted(frame for one in given for frame in frames(one.grant.frames)) == list(range(1, 13))
    assert count(estimate.frames) == 7
    moves = [one.state for one in world.said(JobStateChanged, job=asked.job)]
    assert moves == ["submitted", "inspecting", "estimating", "quoted", "queued", "rendering", "packaging"]
    samplers = {one.grant.agent for one in willing.given(asked.job, Kind.SAMPLE)}
    assert len(samplers) == 3, "several agents sample, one of them the house's"
    (measured,) = world.said(SamplingMeasured, job=asked.job)
    assert sorted(frame for work in measured.work for frame in frames(work.frames)) == [1, 3, 6, 9, 12]
    assert [work.kind for work in measured.work].count("inspect") == 1


async def test_assignments_are_signed_and_inspections_go_to_the_house(world: World, willing: Fleet) -> None:
    asked = a_submission()
    await quoted(world, asked)
    await world.hear(JobRendered, job=asked.job)
    keys = {"1": bytes.fromhex(world.farm["FARM_GRANT_KEY"])}
    for one in willing.given(asked.job):
        assert is_good(one.grant, keys, datetime.now(UTC))
        assert not is_good(
            one.grant.model_copy(update={"frames": ()})
            if one.grant.frames
            else one.grant.model_copy(update={"kind": Kind.RENDER}),
            keys,
            datetime.now(UTC),
        )
    assert {one.grant.agent for one in willing.given(asked.job, Kind.INSPECT)} == {willing.house.agent}
    saved = await world.database(SCHEDULER)["chunks"].find({"job": asked.job}).to_list(None)
    assert not [one for chunk in saved for one in chunk["pending"] if '"mac":""' not in one["body"] and "mac" in one["body"]]


async def test_a_killed_scheduler_goes_on_where_it_was(world: World, willing: Fleet, scheduler: list[Process]) -> None:
    """Killed with attempts in flight; what is said meanwhile waits in its inboxes, some of it twice."""
    asked = a_submission()
    for agent in (willing.ann, willing.bob):
        agent.is_idle = True
    await world.say(INTAKE, asked)
    await world.say(BILLING, a_deposit(asked))
    await until(lambda: willing.ann.held and willing.bob.held, "both lenders have a sample in hand")
    scheduler[0].kill()
    for agent in (willing.ann, willing.bob):
        agent.is_idle = False
        for grant in [one.grant for one in agent.held.values()]:
            await agent.work(grant)
            await world.say(STORAGE, stored(grant))
            await world.say(agent.agent, ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))
    scheduler[0] = await world.start(SCHEDULER, **SETTINGS)
    estimate = await world.hear(JobEstimated, job=asked.job)
    await world.say(BILLING, a_quote(estimate), a_hold(asked), a_hold(asked))
    await world.hear(JobRendered, job=asked.job)
    given = willing.given(asked.job, Kind.SAMPLE, Kind.RENDER)
    assert sorted(frame for one in given for frame in frames(one.grant.frames)) == list(range(1, 13))
    assert len(world.said(JobRendered, job=asked.job)) == 1


async def test_a_cancelled_job_stops_its_attempts_and_takes_no_harm_from_what_comes_late(world: World, willing: Fleet) -> None:
    asked = a_submission()
    estimate = await quoted_only(world, asked)
    willing.ann.is_idle = willing.bob.is_idle = True
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    (one,) = (await until(lambda: willing.given(asked.job, Kind.RENDER), "a chunk is in hand"))[:1]
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=1, action=Action.CANCEL, by="ada"))
    cancelled = await world.hear(JobCancelled, job=asked.job)
    assert "ada" in cancelled.reason
    agent = next(agent for agent in willing.all() if agent.agent == one.grant.agent)
    await until(lambda: one.grant.attempt in {stop.attempt for stop in agent.stopped}, "the agent was told to stop")
    await world.say(STORAGE, stored(one.grant))
    chunks = world.database(SCHEDULER)["chunks"]

    async def nothing_open() -> bool:
        return not await chunks.count_documents({"job": asked.job, "state": {"$in": ["queued", "assigned", "rendering"]}})

    await until(nothing_open, "no chunk of it is open")
    assert not world.said(JobRendered, job=asked.job)


async def quoted_only(world: World, asked: JobSubmitted) -> JobEstimated:
    await world.say(INTAKE, asked)
    await world.say(BILLING, a_deposit(asked))
    return await world.hear(JobEstimated, job=asked.job)


async def test_a_cancel_that_overtook_its_job_ends_it_at_once(world: World, willing: Fleet) -> None:
    asked = a_submission()
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=1, action=Action.CANCEL, by="ada"))
    tombs = world.database(SCHEDULER)["jobs"]
    await until(lambda: tombs.find_one({"_id": asked.job}), "the cancel is remembered")
    await world.say(INTAKE, asked)
    await world.hear(JobCancelled, job=asked.job)
    assert not willing.given(asked.job)


async def test_a_paused_job_gives_nothing_out_and_goes_on_when_resumed(world: World, willing: Fleet) -> None:
    asked = a_submission()
    estimate = await quoted_only(world, asked)
    willing.ann.is_idle = willing.bob.is_idle = True
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    await until(lambda: willing.ann.held or willing.bob.held, "a chunk is in hand")
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=1, action=Action.PAUSE, by="ada"))
    await world.hear(JobStateChanged, job=asked.job, state="paused")
    await until(lambda: not willing.ann.held and not willing.bob.held, "attempts were stopped")
    given = len(willing.given(asked.job))
    willing.ann.is_idle = willing.bob.is_idle = False
    await willing.ann.ready()
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=3, action=Action.RESUME, by="ada"))
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=2, action=Action.PAUSE, by="ada"))
    assert len(willing.given(asked.job)) >= given
    await world.hear(JobRendered, job=asked.job)


async def test_an_agent_that_falls_silent_loses_its_lease_and_its_late_frames_still_count(world: World, willing: Fleet) -> None:
    asked = a_submission(frames=(FrameRange(first=1, last=1),))
    willing.house.is_idle = True
    await world.say(INTAKE, asked)
    await world.say(BILLING, a_deposit(asked))
    await until(lambda: willing.house.held, "the inspection is in hand")
    willing.house.is_silent = True
    await world.hear(AgentChanged, agent=willing.house.agent, state="offline")
    willing.house.is_silent = False
    first = next(iter(willing.house.held.values()))
    await until(lambda: willing.house.stopped, "the void attempt was answered")
    assert {stop.attempt for stop in willing.house.stopped} == {first.grant.attempt}
    willing.house.is_idle = False
    await world.say(willing.house.agent, InspectionReported(grant=first.grant, facts=some_facts(), cpu_micros=1))
    estimate = await world.hear(JobEstimated, job=asked.job)
    assert estimate.frames == (), "one frame, sampled and final"
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    await world.hear(JobRendered, job=asked.job)


async def test_a_stranger_cannot_speak_of_an_attempt_it_was_never_given(world: World, willing: Fleet) -> None:
    asked = a_submission()
    await quoted(world, asked)
    await world.hear(JobRendered, job=asked.job)
    grant = willing.given(asked.job, Kind.RENDER)[0].grant
    eve = next(agent for agent in willing.all() if agent.agent != grant.agent)
    await world.dead(SCHEDULER)
    await world.say(eve.agent, ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))
    parked: list[AbstractIncomingMessage] = []

    async def parks() -> bool:
        parked.extend(await world.dead(SCHEDULER))
        return bool(parked)

    await until(parks, "the false word is parked")
    assert parked[0].headers["x-sender"] == eve.agent
    assert parked[0].headers["x-verdict"] == "sender_fault"


async def test_an_enrolled_agent_is_told_and_can_reach_its_own_mailbox_only(world: World, willing: Fleet) -> None:
    ann, bob = willing.ann, willing.bob
    (told,) = world.said(AgentEnrolled, agent=ann.agent)
    assert (told.owner, told.house) == ("owner-of-ann", False)
    assert ann.assigned, "it reads its own mailbox"
    channel = await ann.connection.channel()
    theirs = await channel.get_queue(mailbox(bob.agent), ensure=False)
    with pytest.raises(ChannelAccessRefused):
        await theirs.consume(ann.take)
    posing = Announcer(ann.connection, bob.agent)
    with pytest.raises(NotAnnounced):
        await posing.announce(Announcement(AgentPulse(run=ann.run)))


async def test_enrolling_again_renews_the_secret_and_somebody_elses_id_is_refused(
    world: World, willing: Fleet, tmp_path: Path
) -> None:
    again = ["--name", "x", "--out", str(tmp_path / "x.json"), "--amqp", f"amqp://127.0.0.1:1/{world.vhost}"]
    code, said = await operator(world, "--agent", willing.bob.agent, "--owner", "eve", *again)
    assert code != 0
    assert "belongs to owner-of-bob" in said
    assert len(world.said(AgentEnrolled, agent=willing.bob.agent)) == 1


async def test_a_revoked_agent_is_cut_off_and_its_id_is_never_used_again(world: World, willing: Fleet, tmp_path: Path) -> None:
    carl = await enrolled(world, tmp_path, "carl")
    code, said = await operator(world, "revoke", "--agent", carl.agent)
    carl.close()
    assert code == 0, said
    await world.hear(AgentRevoked, agent=carl.agent)
    await until(lambda: not carl.connection.connected.is_set(), "its connections are closed")
    await carl.connection.close()
    assert await world.refuses(carl.agent, carl.secret)
    code, said = await operator(
        world, "--agent", carl.agent, "--owner", "owner-of-carl", "--name", "c", "--out", str(tmp_path / "c"),
        "--amqp", f"amqp://127.0.0.1:1/{world.vhost}",
    )  # fmt: skip
    assert code != 0
    assert "never used again" in said
