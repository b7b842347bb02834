"""The agent as its own process on real RabbitMQ, S3 and Docker; scheduler and storage are played by the test with their own
broker rights."""

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.session import get_session

from contracts.bus import Announcement, new_id
from contracts.events import (
    AgentReady,
    AttemptCancelled,
    BundleGranted,
    BundleRequested,
    ChunkAssigned,
    ChunkCompleted,
    ChunkFailed,
    ChunkReleased,
    Event,
    Fault,
    FramesCompleted,
    FramesRendered,
    FrameUpload,
    InspectionReported,
    ProbeMeasured,
    Release,
    UploadGranted,
)
from contracts.grants import Grant, sign
from contracts.topology import MAILBOXES
from contracts.values import FrameRange, Kind, Picture, RenderSettings
from infra.images.rendering import render_image_id
from tests.integration.world import Process, World, free_port
from tests.scenes import build_scenes
from tests.scenes.pixels import pixel_sha256
from tests.waiting import until

BUCKET = "framelend"
SIZE = Picture(width=192, height=108)
BENCH = Picture(width=240, height=135)


@pytest.fixture(scope="module")
def image() -> str:
    return render_image_id()


@pytest.fixture(scope="module")
def scenes(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_scenes(tmp_path_factory.mktemp("scenes"))


@dataclass
class Bundle:
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def a_bundle(folder: Path) -> Bundle:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return Bundle(packed.getvalue())


class Store:
    """A prefix of the farm's bucket."""

    def __init__(self, world: World) -> None:
        farm = world.farm
        self.prefix = f"test-{world.token}"
        self.client: Any = get_session().create_client(
            "s3",
            endpoint_url=farm.http("S3"),
            aws_access_key_id=farm["FARM_S3_ACCESS_KEY"],
            aws_secret_access_key=farm["FARM_S3_SECRET_KEY"],
            region_name="us-east-1",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def put(self, name: str, body: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}", Body=body)

    def get(self, name: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")["Body"].read()
        return body

    def url(self, method: str, name: str, **params: Any) -> str:
        where = {"Bucket": BUCKET, "Key": f"{self.prefix}/{name}", **params}
        url: str = self.client.generate_presigned_url(method, Params=where, ExpiresIn=300)
        return url

    def close(self) -> None:
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/").get("Contents", [])
        for entry in found:
            self.client.delete_object(Bucket=BUCKET, Key=entry["Key"])
        self.client.close()


@dataclass
class Stage:
    """Plays scheduler and storage for one agent. `withholding`: upload requests are left unanswered."""

    world: World
    store: Store
    image: str
    agent: str
    secret: str
    folder: Path
    keys: dict[str, bytes]
    bundles: dict[str, bytes] = field(default_factory=dict)
    withholding: bool = False
    spoil_next_url: bool = False
    answered: int = 0
    process: Process | None = None

    def environment(self, **extra: str) -> dict[str, str]:
        credential = self.folder / "agent.json"
        url = self.world.farm.amqp_url(self.agent, self.secret, self.world.vhost)
        credential.write_text(json.dumps({"agent": self.agent, "amqp_url": url}))
        credential.chmod(0o600)
        own = {
            "PATH": os.environ["PATH"],
            "DOCKER_HOST": self.world.farm["FARM_DOCKER_HOST"],
            "FRAMELEND_AGENT_FILE": str(credential),
            "FRAMELEND_AGENT_DIR": str(self.folder / "home"),
            "FRAMELEND_AGENT_IMAGE": self.image,
            "FRAMELEND_OTLP_URL": f"{self.world.farm.http('TRACEBOX')}/v1/traces",
        }
        return {**own, **extra}

    async def start(self, **extra: str) -> Process:
        port = free_port()
        env = self.environment(FRAMELEND_AGENT_HTTP_PORT=str(port), **extra)
        return await self.world.run(self.agent, (sys.executable, "-m", "agent.cli", "run"), env, port)

    async def assign(
        self, bundle: Bundle, *frames: int, kind: Kind = Kind.RENDER, trace: dict[str, str] | None = None, **changes: Any
    ) -> ChunkAssigned:
        grant = Grant(
            agent=changes.pop("grant_agent", self.agent),
            job=new_id(),
            chunk=new_id(),
            attempt=new_id(),
            kind=kind,
            frames=tuple(FrameRange(first=frame, last=frame) for frame in frames),
            bundle=bundle.sha256,
            picture=changes.get("picture", SIZE),
            max_bytes=4 << 20,
            until=datetime.now(UTC) + timedelta(minutes=10),
        )
        fields = {
            "image": self.image,
            "blend": "scene.blend",
            "bundle_bytes": len(bundle.body),
            "settings": RenderSettings(),
            "picture": SIZE,
            "lease_seconds": 60,
            "max_seconds_per_frame": 120,
            "memory_bytes": 2_000_000_000,
            **changes,
        }
        assignment = ChunkAssigned(grant=sign(grant, self.keys), **fields)
        self.bundles.setdefault(bundle.sha256, bundle.body)
        announcement = Announcement(assignment, trace=trace or {})
        announcer = await self.world.announcer("scheduler")
        await announcer.publish(MAILBOXES, self.agent, announcement.message("scheduler"))
        return assignment

    async def rendering(self, bundle: Bundle, *frames: int, **changes: Any) -> ChunkAssigned:
        """An assignment whose container runs."""
        assignment = await self.assign(bundle, *frames, **changes)

        async def runs() -> bool:
            await self.answer()
            return bool(self.containers())

        await until(runs, "a container runs")
        return assignment

    def cancel(self, assignment: ChunkAssigned) -> AttemptCancelled:
        grant = assignment.grant
        return AttemptCancelled(agent=self.agent, job=grant.job, chunk=grant.chunk, attempt=grant.attempt, reason="by the renter")

    async def answer(self) -> None:
        """What storage would answer to everything heard since the last time."""
        heard, self.answered = self.world.heard[self.answered :], len(self.world.heard)
        for key, event in heard:
            if not key.startswith(f"{self.agent}."):
                continue
            if isinstance(event, BundleRequested):
                await self.world.say("storage", self._bundle(event))
            if isinstance(event, FramesRendered) and not self.withholding:
                await self.world.say("storage", self._uploads(event))

    def _bundle(self, asked: BundleRequested) -> BundleGranted:
        grant = asked.grant
        self.store.put(f"bundles/{grant.bundle}", self.bundles[grant.bundle])
        return BundleGranted(
            agent=grant.agent,
            job=grant.job,
            attempt=grant.attempt,
            bundle=grant.bundle,
            bytes=len(self.bundles[grant.bundle]),
            url=self.store.url("get_object", f"bundles/{grant.bundle}"),
            seconds_valid=300,
        )

    def _uploads(self, asked: FramesRendered) -> UploadGranted:
        grant = asked.grant
        uploads = tuple(self._upload(grant, frame.frame, frame.bytes) for frame in asked.frames)
        return UploadGranted(agent=grant.agent, job=grant.job, attempt=grant.attempt, uploads=uploads, seconds_valid=300)

    def _upload(self, grant: Grant, frame: int, size: int) -> FrameUpload:
        url = self.store.url("put_object", f"{grant.attempt}/{frame}", ContentLength=size, ContentType="image/png")
        if self.spoil_next_url:
            url, self.spoil_next_url = url[:-4] + "0000", False
        return FrameUpload(frame=frame, url=url, bytes=size, content_type="image/png")

    async def hear(self, event: type[Any], assignment: ChunkAssigned, seconds: float = 60) -> Any:
        """Waits for the first of this type about this attempt, answering as storage meanwhile."""

        async def said() -> Event | None:
            await self.answer()
            return next((fact for fact in self.world.said(event) if _attempt(fact) == assignment.grant.attempt), None)

        return await until(said, f"{event.__name__} of {self.agent}", seconds)

    def said(self, event: type[Any], assignment: ChunkAssigned) -> list[Any]:
        return [fact for fact in self.world.said(event) if _attempt(fact) == assignment.grant.attempt]

    def frames_said(self, event: type[Any], assignment: ChunkAssigned) -> list[int]:
        return [frame.frame for fact in self.said(event, assignment) for frame in fact.frames]

    def cut_off(self) -> None:
        """The broker closes this agent's connections."""
        farm = self.world.farm
        url = f"{farm.http('RABBIT_MANAGEMENT')}/api/connections/username/{self.agent}"
        httpx.delete(url, auth=farm.rabbit_admin, timeout=10).raise_for_status()

    def containers(self) -> list[str]:
        words = [
            "docker",
            "-H",
            self.world.farm["FARM_DOCKER_HOST"],
            "ps",
            "-aq",
            "--filter",
            f"label=framelend.agent={self.agent}",
        ]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def _attempt(fact: Any) -> str:
    return str(getattr(fact, "attempt", None) or fact.grant.attempt)


@pytest.fixture(scope="module")
def store(world: World) -> Iterator[Store]:
    it = Store(world)
    yield it
    it.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(world: World, store: Store, image: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    agent, secret = await world.an_agent()
    keys = {"1": bytes.fromhex(world.farm["FARM_GRANT_KEY"])}
    yield Stage(world, store, image, agent, secret, tmp_path_factory.mktemp("agent"), keys)


@pytest_asyncio.fixture(loop_scope="session")
async def running(stage: Stage) -> Process:
    """The agent's process, started (again) if a test before has ended it."""
    if stage.process is None or stage.process.ended():
        stage.process = await stage.start()
        await stage.world.hear(AgentReady, seconds=120)
    return stage.process


async def test_an_agent_says_that_it_is_ready_with_what_it_measured(stage: Stage, running: Process) -> None:
    ready = await stage.world.hear(AgentReady)
    assert ready.slots == 1
    assert ready.images == (stage.image,)
    assert ready.benchmark is not None
    assert ready.attempts == ()


async def test_a_chunk_is_rendered_uploaded_and_completed(stage: Stage, running: Process, scenes: Path, tmp_path: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, 3, 8)
    await stage.hear(ChunkCompleted, assignment)
    assert sorted(stage.frames_said(FramesCompleted, assignment)) == [1, 3, 8]
    claims = {claim.frame: claim for said in stage.said(FramesRendered, assignment) for claim in said.frames}
    assert sorted(claims) == [1, 3, 8]
    for frame, claim in claims.items():
        path = tmp_path / f"{frame}.png"
        path.write_bytes(stage.store.get(f"{assignment.grant.attempt}/{frame}"))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == claim.file_sha256
        assert pixel_sha256(path) == claim.pixel_sha256
        assert claim.cpu_micros > 0
    await until(lambda: not stage.containers(), "no container is left")


async def test_a_bundle_that_is_here_is_not_asked_for_again(stage: Stage, running: Process, scenes: Path) -> None:
    bundle = a_bundle(scenes / "ok_small")
    first = await stage.assign(bundle, 2)
    await stage.hear(ChunkCompleted, first)
    second = await stage.assign(bundle, 4)
    await stage.hear(ChunkCompleted, second)
    assert not stage.said(BundleRequested, second)


async def test_an_assignment_that_comes_twice_is_rendered_once_and_one_that_comes_early_waits(
    stage: Stage, running: Process, scenes: Path
) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 5)
    await stage.world.say("scheduler", assignment)
    after = await stage.assign(a_bundle(scenes / "ok_small"), 6)
    await stage.hear(ChunkCompleted, assignment)
    await stage.hear(ChunkCompleted, after)
    assert stage.frames_said(FramesRendered, assignment) == [5]
    assert not stage.said(ChunkReleased, assignment)


async def test_the_trace_of_the_assignment_goes_on_to_the_container_and_the_upload(
    stage: Stage, running: Process, scenes: Path
) -> None:
    trace = uuid4().hex
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 8, trace={"traceparent": f"00-{trace}-{'1' * 16}-01"})
    await stage.hear(ChunkCompleted, assignment)
    wanted = {"attempt", "bundle", "container", "frame", "upload"}
    async with httpx.AsyncClient() as http:

        async def spans() -> set[str]:
            answer = await http.get(f"{stage.world.farm.http('TRACEBOX')}/api/traces/{trace}")
            return {span["name"] for span in answer.json()} if answer.is_success else set()

        async def complete() -> bool:
            return wanted <= await spans()

        await until(complete, f"spans {wanted} of trace {trace}")


async def test_an_inspection_reports_what_the_file_is(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), kind=Kind.INSPECT)
    report = await stage.hear(InspectionReported, assignment)
    assert (report.facts.engine, report.facts.frame_start, report.facts.frame_end) == ("CYCLES", 1, 8)
    assert (report.facts.width, report.facts.height, report.facts.has_camera) == (192, 108, True)
    await stage.hear(ChunkCompleted, assignment)


async def test_an_inspection_of_no_blend_reports_blenders_words(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "not_a_blend"), kind=Kind.INSPECT)
    report = await stage.hear(InspectionReported, assignment)
    assert report.facts is None
    assert "cannot_open" in report.error
    await stage.hear(ChunkCompleted, assignment)


async def test_a_probe_is_measured_and_its_picture_thrown_away(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 3, kind=Kind.PROBE, scale_percent=50)
    measured = await stage.hear(ProbeMeasured, assignment)
    assert (measured.frame, measured.scale_percent) == (3, 50)
    assert measured.cpu_micros > 0
    await stage.hear(ChunkCompleted, assignment)
    assert not stage.said(FramesRendered, assignment)


async def test_a_scene_without_a_camera_is_the_scenes_fault(stage: Stage, running: Process, scenes: Path) -> None:
    failed = await stage.hear(ChunkFailed, await stage.assign(a_bundle(scenes / "no_camera"), 1))
    assert failed.fault is Fault.SCENE
    assert "camera" in failed.text


async def test_a_picture_of_another_size_than_agreed_is_not_sent(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, picture=Picture(width=192, height=109))
    failed = await stage.hear(ChunkFailed, assignment)
    assert (failed.fault, failed.frame) == (Fault.MACHINE, 1)
    assert not stage.said(FramesRendered, assignment)


async def test_a_scene_that_needs_too_much_memory_is_told_apart(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "subdivision_bomb"), 1, memory_bytes=1_000_000_000)
    assert (await stage.hear(ChunkFailed, assignment)).fault is Fault.MEMORY


async def test_a_sample_over_its_budget_is_stopped_and_measured(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "slow"), 1, kind=Kind.SAMPLE, budget_seconds=3)
    failed = await stage.hear(ChunkFailed, assignment)
    assert failed.fault is Fault.TIME
    assert failed.cpu_micros > 0


async def test_another_image_than_agreed_is_refused(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, image="sha256:" + "0" * 64)
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.REFUSED


async def test_a_grant_of_another_agent_is_refused(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, grant_agent="agent-else")
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.REFUSED


async def test_a_tampered_bundle_is_never_opened(stage: Stage, running: Process, scenes: Path) -> None:
    honest, other = a_bundle(scenes / "marker_camera"), a_bundle(scenes / "script")
    stage.bundles[honest.sha256] = other.body
    assignment = await stage.assign(honest, 1, bundle_bytes=len(other.body))
    released = await stage.hear(ChunkReleased, assignment)
    assert released.reason is Release.NETWORK
    assert "hash" in released.text
    assert not stage.said(FramesRendered, assignment)


async def test_a_cancelled_attempt_stops_its_container_and_the_agent_is_ready_again(
    stage: Stage, running: Process, scenes: Path
) -> None:
    assignment = await stage.rendering(a_bundle(scenes / "slow"), 1)
    before = len(stage.world.said(AgentReady))
    await stage.world.say("scheduler", stage.cancel(assignment))
    await until(lambda: not stage.containers(), "the container is gone")
    await until(lambda: stage.world.said(AgentReady)[before:], "ready again")
    assert stage.world.said(AgentReady)[-1].attempts == ()


async def test_a_render_survives_a_lost_connection_to_the_broker(stage: Stage, running: Process, scenes: Path) -> None:
    before = len(stage.world.said(AgentReady))
    assignment = await stage.rendering(a_bundle(scenes / "bench_1s"), 1, 2, picture=BENCH)
    stage.cut_off()
    await stage.hear(ChunkCompleted, assignment)
    assert sorted(set(stage.frames_said(FramesCompleted, assignment))) == [1, 2]
    assert not stage.said(ChunkReleased, assignment)
    await until(lambda: stage.world.said(AgentReady)[before:], "ready is said again after the reconnect")


async def test_an_upload_url_that_is_refused_is_asked_for_again_without_rendering_again(
    stage: Stage, running: Process, scenes: Path
) -> None:
    stage.spoil_next_url = True
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 7)
    await stage.hear(ChunkCompleted, assignment)
    told = stage.said(FramesRendered, assignment)
    assert len(told) >= 2
    assert len({said.frames[0].file_sha256 for said in told}) == 1


async def test_after_a_kill_no_container_is_left_and_finished_frames_are_delivered(
    stage: Stage, running: Process, scenes: Path
) -> None:
    stage.withholding = True
    assignment = await stage.assign(a_bundle(scenes / "bench_1s"), *range(1, 40), picture=BENCH)
    await stage.hear(FramesRendered, assignment)
    running.kill()
    assert stage.containers()
    finished = set(stage.frames_said(FramesRendered, assignment))
    stage.withholding = False
    stage.process = await stage.start()
    assert not stage.containers()
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.STOPPED
    assert finished <= set(stage.frames_said(FramesCompleted, assignment))


async def test_an_agent_that_is_told_to_stop_gives_its_chunk_back(stage: Stage, running: Process, scenes: Path) -> None:
    assignment = await stage.rendering(a_bundle(scenes / "slow"), 1)
    assert await asyncio.to_thread(running.stop) == 0
    assert not stage.containers()
    assert (await stage.hear(ChunkReleased, assignment)).reason is Release.STOPPED
    await until(lambda: [one.slots for one in stage.world.said(AgentReady)][-1] == 0, "the agent takes leave")


async def test_metrics_and_health_are_on_loopback(stage: Stage, running: Process) -> None:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{running.url}/metrics")).text
        assert (await http.get(f"{running.url}/health")).json()["ok"] is True
    assert "framelend_agent_ready 1.0" in text
    assert stage.agent not in text
