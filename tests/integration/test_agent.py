"""The agent as its own process on real RabbitMQ, S3 and Docker; scheduler and storage are played by the test with their own
broker rights."""

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

import boto3
import pytest
import pytest_asyncio
from botocore.config import Config

from contracts.bus import new_id
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
from contracts.values import FrameRange, Kind, Picture, RenderSettings
from infra.images.rendering import render_image_id
from tests.integration.world import Process, World, free_port
from tests.scenes import build_scenes
from tests.scenes.pixels import pixel_sha256
from tests.waiting import until

BUCKET = "framelend"
SIZE = Picture(width=192, height=108)


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
        self.client: Any = boto3.client(
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
    answered: int = 0

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
        }
        return {**own, **extra}

    async def start(self, **extra: str) -> Process:
        port = free_port()
        env = self.environment(FRAMELEND_AGENT_HTTP_PORT=str(port), **extra)
        return await self.world.run(self.agent, (sys.executable, "-m", "agent.cli", "run"), env, port)

    async def assign(self, bundle: Bundle, *frames: int, kind: Kind = Kind.RENDER, **changes: Any) -> ChunkAssigned:
        grant = Grant(
            agent=changes.pop("grant_agent", self.agent),
            job=new_id(),
            chunk=new_id(),
            attempt=new_id(),
            kind=kind,
            frames=tuple(FrameRange(first=frame, last=frame) for frame in frames),
            bundle=bundle.sha256,
            picture=SIZE,
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
        await self.world.say("scheduler", assignment)
        return assignment

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
        return FrameUpload(frame=frame, url=url, bytes=size, content_type="image/png")

    async def hear(self, event: type[Any], assignment: ChunkAssigned, seconds: float = 60) -> Any:
        """Waits for the first of this type about this attempt, answering as storage meanwhile."""

        async def said() -> Event | None:
            await self.answer()
            return next((fact for fact in self.world.said(event) if _attempt(fact) == assignment.grant.attempt), None)

        return await until(said, f"{event.__name__} of {self.agent}", seconds)

    def frames_said(self, event: type[Any], assignment: ChunkAssigned) -> list[int]:
        facts = [fact for fact in self.world.said(event) if _attempt(fact) == assignment.grant.attempt]
        return [frame.frame for fact in facts for frame in fact.frames]

    def containers(self) -> list[str]:
        words = ["docker", "-H", self.world.farm["FARM_DOCKER_HOST"], "ps", "-aq", "--filter", f"label=framelend.agent={self.agent}"]
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stage: Stage) -> Process:
    return await stage.start()


async def test_an_agent_says_that_it_is_ready_with_what_it_measured(stage: Stage, running: Process) -> None:
    ready = await stage.world.hear(AgentReady)
    assert ready.slots == 1
    assert ready.images == (stage.image,)
    assert ready.benchmark is not None
    assert ready.attempts == ()


async def test_a_chunk_is_rendered_uploaded_and_completed(stage: Stage, running: Process, scenes: Path, tmp_path: Path) -> None:
    assignment = await stage.assign(a_bundle(scenes / "ok_small"), 1, 3, 8)
    await stage.hear(ChunkCompleted, assignment)
    assert sorted(stage.frames_said(FramesRendered, assignment)) == [1, 3, 8]
    assert sorted(stage.frames_said(FramesCompleted, assignment)) == [1, 3, 8]
    rendered = {f.frame: f for said in stage.world.said(FramesRendered) for f in said.frames if _attempt(said) == assignment.grant.attempt}
    for frame, claim in rendered.items():
        path = tmp_path / f"{frame}.png"
        path.write_bytes(stage.store.get(f"{assignment.grant.attempt}/{frame}"))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == claim.file_sha256
        assert pixel_sha256(path) == claim.pixel_sha256
        assert claim.cpu_micros > 0
    await until(lambda: not stage.containers(), "no container is left")
