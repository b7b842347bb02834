"""The agent as its own process on real RabbitMQ, S3 and Docker; scheduler and storage are played by the test with their own
broker rights."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from contracts.bus import Announcement, new_id
from contracts.events import (
    AgentReady,
    AttemptCancelled,
    BundleGranted,
    BundleRequested,
    ChunkAssigned,
    Event,
    FramesRendered,
    FrameUpload,
    UploadGranted,
)
from contracts.grants import Grant, sign
from contracts.topology import MAILBOXES
from contracts.values import FrameRange, Kind, Picture, RenderSettings
from tests.integration.agent.goods import Bundle, Store
from tests.integration.world import Process, World, free_port
from tests.waiting import until

SIZE = Picture(width=192, height=108)
BENCH = Picture(width=240, height=135)


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
            "FRAMELEND_AGENT_PRIORITY": "normal",
            "FRAMELEND_OTLP_URL": f"{self.world.farm.http('TRACEBOX')}/v1/traces",
        }
        return {**own, **extra}

    async def start(self, **extra: str) -> Process:
        port = free_port()
        env = self.environment(FRAMELEND_AGENT_HTTP_PORT=str(port), **extra)
        return await self.world.run(self.agent, (sys.executable, "-m", "agent.cli", "run"), env, port)

    async def ready(self) -> Process:
        """The agent's process, started again if it has ended, and ready for work: before that it refuses what it gets."""
        if self.process is None or self.process.ended():
            before = len(self.world.heard)
            self.process = await self.start()
            await until(lambda: self._is_ready_since(before), "the agent is ready", 120)
        return self.process

    def _is_ready_since(self, before: int) -> bool:
        fresh = self.world.heard[before:]
        return any(isinstance(fact, AgentReady) and fact.slots and key.startswith(f"{self.agent}.") for key, fact in fresh)

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

    def running(self) -> list[str]:
        """Containers of this agent that run."""
        return self.containers("-q")

    def containers(self, which: str = "-aq") -> list[str]:
        words = [
            "docker",
            "-H",
            self.world.farm["FARM_DOCKER_HOST"],
            "ps",
            which,
            "--filter",
            f"label=framelend.agent={self.agent}",
        ]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def _attempt(fact: Any) -> str:
    return str(getattr(fact, "attempt", None) or fact.grant.attempt)
