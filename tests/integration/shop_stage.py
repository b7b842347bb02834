"""A stage for the `framelend` command: the other services are played, and what they keep lies in the real store."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest_asyncio
from botocore.config import Config

from contracts import events as e
from contracts.values import Finding, FrameRange, PriceLine, Severity
from tests.integration.intake_stage import Person, Stage, a_quote, progress, stored_frames

PART = 200_000


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class Shop:
    """The other services, played; what they keep lies in the real store."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        farm = stage.world.farm
        self.stage, self.folder, self.bucket = stage, folder, f"shop-{stage.world.token}"
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=farm.http("S3"),
            aws_access_key_id=farm["FARM_S3_ACCESS_KEY"],
            aws_secret_access_key=farm["FARM_S3_SECRET_KEY"],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
        )
        self.s3.create_bucket(Bucket=self.bucket)

    def close(self) -> None:
        for one in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            self.s3.delete_object(Bucket=self.bucket, Key=one["Key"])
        self.s3.delete_bucket(Bucket=self.bucket)
        self.s3.close()

    def url(self, what: str, key: str) -> str:
        return str(self.s3.generate_presigned_url(what, {"Bucket": self.bucket, "Key": key}, ExpiresIn=300))

    async def run(self, who: Person, *words: str) -> Done:
        env = {
            "PATH": os.environ["PATH"],
            "FRAMELEND_URL": self.stage.intake.url,
            "FRAMELEND_KEY": who.key,
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "COLUMNS": "200",
        }
        command = (sys.executable, "-m", "framelend", *words)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=self.folder
        )
        out, err = await process.communicate()
        return Done(int(process.returncode or 0), out.decode(), err.decode())

    async def intake_again(self) -> None:
        """At the same address as before."""
        world, port = self.stage.world, self.stage.intake.port
        env = {"PATH": os.environ["PATH"], **world.environment("intake"), "FRAMELEND_HTTP_PORT": str(port)}
        await world.run("intake", (sys.executable, "-m", "services", "intake"), env, port)

    async def takes_a_bundle(self, owner: Person) -> str:
        """Storage's side of one upload; returns the bundle's hash after comparing it with what arrived."""
        asked = await self.stage.world.hear(e.UploadRequested, account=owner.id)
        await self.stage.world.hear(e.PartsRequested, upload=asked.upload)
        total = -(-asked.bytes // PART)
        parts = tuple(e.PartUrl(number=n, url=self.url("put_object", f"{asked.upload}-{n}")) for n in range(1, total + 1))
        granted = e.PartsGranted(
            upload=asked.upload, account=owner.id, page=0, part_bytes=PART, parts_total=total, parts=parts, seconds_valid=300
        )
        await self.stage.world.say("storage", granted)
        await self.stage.world.hear(e.UploadFinished, upload=asked.upload)
        keys = [f"{asked.upload}-{n}" for n in range(1, total + 1)]
        arrived = b"".join(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys)
        assert hashlib.sha256(arrived).hexdigest() == asked.sha256
        stored = e.BundleStored(
            upload=asked.upload, account=owner.id, bundle=asked.sha256, bytes=asked.bytes, unpacked_bytes=asked.bytes, files=1,
            blends=("waves.blend",),
        )  # fmt: skip
        await self.stage.world.say("storage", stored)
        return asked.sha256

    async def quotes(self, owner: Person, price_micro: int) -> str:
        """Billing's and the scheduler's side up to the quote; returns the job."""
        job = (await self.stage.world.hear(e.JobSubmitted, account=owner.id)).job
        finding = Finding(code="denoise", severity=Severity.WARNING, text="Denoising is on [bold].", fix="Nothing to do.")
        frames = (FrameRange(first=1, last=10),)
        inspected = e.JobInspected(job=job, account=owner.id, accepted=True, findings=(finding,), frames=frames)
        await self.stage.world.say("scheduler", inspected)
        await self.stage.world.say("billing", a_quote(job, owner.id, price_micro))
        return job

    async def renders(self, owner: Person, job: str) -> None:
        say, world = self.stage.world.say, self.stage.world
        await world.hear(e.QuoteAccepted, job=job)
        await say("billing", e.CreditsHeld(job=job, account=owner.id, version=1, amount_micro=1_500_000))
        await say("scheduler", progress(job, owner.id, 4))
        await say("storage", stored_frames(job, *range(1, 11)))
        picture = b"the film" * 1000
        self.s3.put_object(Bucket=self.bucket, Key="film.mp4", Body=picture)
        film = e.PackagedFile(name="film.mp4", key="k", bytes=len(picture), sha256=hashlib.sha256(picture).hexdigest())
        until_then = datetime.now(UTC) + timedelta(days=7)
        await say("storage", e.JobPackaged(job=job, account=owner.id, files=(film,), until=until_then))
        line = PriceLine(code="frames", text="frames", amount_micro=1_500_000)
        settled = e.JobSettled(
            job=job, account=owner.id, outcome="completed", held_micro=1_500_000, charged_micro=1_500_000, released_micro=0,
            lines=(line,), frames=(),
        )  # fmt: skip
        await say("billing", settled)
        await say("scheduler", e.JobStateChanged(job=job, account=owner.id, state="completed", reason="Ready.", revision=9))

    async def hands_out(self, owner: Person, job: str) -> None:
        asked = await self.stage.world.hear(e.DownloadsRequested, job=job)
        body = self.s3.get_object(Bucket=self.bucket, Key="film.mp4")["Body"].read()
        one = e.Download(
            name="film.mp4", url=self.url("get_object", "film.mp4"), bytes=len(body), sha256=hashlib.sha256(body).hexdigest()
        )
        granted = e.DownloadsGranted(request=asked.request, job=job, account=owner.id, downloads=(one,), seconds_valid=300)
        await self.stage.world.say("storage", granted)


@pytest_asyncio.fixture(name="shop", scope="module", loop_scope="session")
async def the_shop(stage: Stage, tmp_path_factory: Any) -> AsyncIterator[Shop]:
    made = Shop(stage, tmp_path_factory.mktemp("renter"))
    yield made
    made.close()


def a_blend(folder: Path) -> Path:
    """No compression makes it small, so that it travels in several parts."""
    path = folder / "waves.blend"
    path.write_bytes(b"BLENDER" + b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(20_000)))
    return path
