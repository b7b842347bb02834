"""Storage as a process: settings, clients, wiring."""

import os
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field, SecretStr

from contracts.events import AgentMisbehaved, FramesCompleted
from contracts.topology import route
from services.chassis.service import Ground, Service
from services.chassis.settings import ServiceSettings
from services.storage.bucket import URL_SECONDS, Address, Bucket
from services.storage.children import Children
from services.storage.confined.walls import hide_environment
from services.storage.deferring import Deferring
from services.storage.domain.archive import GIB, Limits
from services.storage.granting import Granting
from services.storage.handlers import routes
from services.storage.packaging import Packaging
from services.storage.repository import Agents, Bundles, Claims, Frames, Jobs, Refusals, Tasks, Uploads
from services.storage.sealing import Sealing
from services.storage.settling import Settling
from services.storage.sweeps import sweeps
from services.storage.uploading import Uploading
from services.storage.work import Work, doings, given_up


class Settings(ServiceSettings):
    s3_url: str
    s3_public_url: str = ""
    """The store as agents and renters reach it, when that differs."""
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_bucket: str = "framelend"
    url_seconds: Annotated[int, Field(ge=1, le=URL_SECONDS)] = URL_SECONDS
    """How long a signed URL is good for."""
    grant_key: SecretStr
    """Hex; key id "1"."""
    work_dir: Path = Path(tempfile.gettempdir())
    """Archives and packages lie here while they are checked and made."""
    retention_days: float = 7
    retention_sweep_seconds: float = 60
    verifiers: int = os.cpu_count() or 1
    """Confined processes that look at pictures at the same time."""
    child_memory_bytes: int = 4 * GIB
    """Address space of one of them."""
    workers: int = 1
    """For each lane of longer work."""
    bundle_max_bytes: int = 64 * GIB
    bundle_max_unpacked_bytes: int = 64 * GIB
    bundle_max_entries: int = 20_000
    bundle_max_ratio: int = 200


@dataclass(frozen=True)
class Memory:
    """Every repository of this service."""

    agents: Agents
    uploads: Uploads
    bundles: Bundles
    jobs: Jobs
    frames: Frames
    claims: Claims
    refusals: Refusals
    tasks: Tasks

    async def ensure_indexes(self) -> None:
        for repository in (self.uploads, self.bundles, self.jobs, self.frames, self.claims, self.refusals, self.tasks):
            await repository.ensure_indexes()


async def build(ground: Ground) -> Service:
    settings = cast(Settings, ground.settings)
    hide_environment()
    memory, bucket = _memory(ground), Bucket(_address(settings))
    children = Children(settings.verifiers, settings.child_memory_bytes)
    keys, keep = {"1": bytes.fromhex(settings.grant_key.get_secret_value())}, timedelta(days=settings.retention_days)
    m, clock, folder = memory, ground.clock, settings.work_dir
    uploading = Uploading(m.uploads, m.bundles, m.tasks, bucket, children, clock, _limits(settings), folder)
    granting = Granting(m.agents, m.bundles, m.jobs, m.frames, m.claims, bucket, clock, keys)
    parallel = 2 * settings.verifiers
    completed = route(FramesCompleted)
    settling = Settling(
        m.agents, m.jobs, m.frames, m.claims, m.refusals, bucket, children, clock, keys, parallel,
        blame=lambda agent: ground.doorkeeper.erred(agent, completed),
    )  # fmt: skip
    deferring = Deferring(settling, m.tasks, settings.verifiers)
    sealing = Sealing(m.jobs, m.frames, m.bundles, m.tasks, bucket, clock, keep)
    packaging = Packaging(m.jobs, m.frames, bucket, folder, keep)
    work = Work(m.tasks, doings(uploading, deferring, packaging, sealing), given_up(uploading, packaging))

    async def prepare() -> None:
        await bucket.open()
        await memory.ensure_indexes()

    return Service(
        inboxes=routes(ground, m.agents, uploading, granting, deferring, sealing),
        repositories=[m.uploads.saved, m.bundles.saved, m.jobs.saved, m.frames.saved, m.refusals.saved],
        sweeps=sweeps(uploading, sealing, work, settings.workers, settings.retention_sweep_seconds),
        prepare=prepare,
        closing=[bucket.close, children.close],
        shut_out=m.agents.shut_out,
        misconduct=lambda seen: ground.say(AgentMisbehaved(agent=seen.agent, what=seen.offence, count=seen.count)),
    )


def _memory(ground: Ground) -> Memory:
    return Memory(
        agents=Agents(ground.database),
        uploads=Uploads(ground),
        bundles=Bundles(ground),
        jobs=Jobs(ground),
        frames=Frames(ground),
        claims=Claims(ground.database),
        refusals=Refusals(ground),
        tasks=Tasks(ground.database, ground.clock),
    )


def _address(settings: Settings) -> Address:
    return Address(
        url=settings.s3_url,
        public_url=settings.s3_public_url or settings.s3_url,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        bucket=settings.s3_bucket,
        url_seconds=settings.url_seconds,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_bytes=settings.bundle_max_bytes,
        max_unpacked_bytes=settings.bundle_max_unpacked_bytes,
        max_entries=settings.bundle_max_entries,
        max_ratio=settings.bundle_max_ratio,
    )
