"""A renter and an agent as storage meets them: over the bus and by signed URLs, nothing else."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from PIL import Image

from contracts.bus import new_id
from contracts.events import (
    BundleRejected,
    BundleStored,
    CompletedFrame,
    Download,
    DownloadsGranted,
    DownloadsRequested,
    Event,
    FramesCompleted,
    FramesRendered,
    FrameUpload,
    JobSubmitted,
    PartsGranted,
    PartsRequested,
    RenderedFrame,
    UploadFinished,
    UploadGranted,
    UploadRequested,
)
from contracts.grants import Grant, sign
from contracts.values import FrameRange, Kind, Picture
from tests.integration.world import World
from tests.pictures import pixel_sha256, sha256
from tests.waiting import until

PICTURE = Picture(width=64, height=36)


def a_bundle(salt: str = "", extra: Mapping[str, bytes] | None = None) -> bytes:
    """A small bundle; another salt gives another hash."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scene.blend", b"BLENDER17-01v0500" + salt.encode() * 10)
        for name, content in (extra or {"textures/wood.png": b"not looked at"}).items():
            archive.writestr(name, content)
    return out.getvalue()


@dataclass
class Renter:
    world: World
    account: str = field(default_factory=lambda: f"account-{new_id()}")

    async def begin(self, data: bytes, told_sha256: str | None = None, told_bytes: int | None = None) -> str:
        upload = new_id()
        told = {"bytes": told_bytes or len(data), "sha256": told_sha256 or sha256(data)}
        await self.world.say("intake", UploadRequested(upload=upload, account=self.account, **told))
        return upload

    async def parts(self, upload: str, page: int = 0) -> PartsGranted:
        await self.world.say("intake", PartsRequested(upload=upload, account=self.account, page=page))
        return await self.world.hear(PartsGranted, upload=upload, page=page)

    async def send(self, data: bytes, granted: PartsGranted) -> None:
        async with httpx.AsyncClient() as http:
            for part in granted.parts:
                at = (part.number - 1) * granted.part_bytes
                answer = await http.put(part.url, content=data[at : at + granted.part_bytes])
                answer.raise_for_status()

    async def finish(self, upload: str) -> Event:
        """What storage says of it."""
        await self.world.say("intake", UploadFinished(upload=upload, account=self.account))
        return await self.verdict(upload)

    async def verdict(self, upload: str) -> Event:
        def said() -> list[Event]:
            return [*self.world.said(BundleStored, upload=upload), *self.world.said(BundleRejected, upload=upload)]

        return (await until(said, f"a verdict on {upload}"))[0]

    async def upload(self, data: bytes, told_sha256: str | None = None) -> Event:
        upload = await self.begin(data, told_sha256)
        await self.send(data, await self.parts(upload))
        return await self.finish(upload)

    async def submit(self, bundle: str, name: str = "A wave", job: str = "") -> str:
        job = job or f"job-{new_id()}"
        event = JobSubmitted(
            job=job,
            account=self.account,
            name=name,
            bundle=bundle,
            bundle_bytes=1,
            blend="scene.blend",
            price_per_wu_micro=1_000,
        )
        await self.world.say("intake", event)
        return job

    async def a_job(self, name: str = "A wave") -> tuple[str, str]:
        """(job, bundle hash) of a fresh job on a stored bundle."""
        data = a_bundle(salt=new_id())
        assert isinstance(await self.upload(data), BundleStored)
        return await self.submit(sha256(data), name), sha256(data)

    async def downloads(self, job: str, *names: str) -> dict[str, Download]:
        request = new_id()
        await self.world.say("intake", DownloadsRequested(request=request, job=job, account=self.account, names=names))
        granted = await self.world.hear(DownloadsGranted, request=request)
        return {download.name: download for download in granted.downloads}


@dataclass
class Lender:
    """One agent with its mailbox; `key` signs its grants as the scheduler would."""

    world: World
    id: str
    box: list[Event]
    key: bytes

    @classmethod
    async def enrolled(cls, world: World) -> "Lender":
        id, secret = await world.an_agent()
        return cls(world, id, await world.read_mailbox(id, secret), bytes.fromhex(world.farm["FARM_GRANT_KEY"]))

    def grant(self, job: str, bundle: str, **other: Any) -> Grant:
        told: dict[str, Any] = {
            "agent": self.id,
            "job": job,
            "chunk": f"chunk-{new_id()}",
            "attempt": f"attempt-{new_id()}",
            "kind": Kind.RENDER,
            "frames": (FrameRange(first=1, last=20),),
            "bundle": bundle,
            "picture": PICTURE,
            "max_bytes": 1 << 20,
            "until": datetime.now(UTC) + timedelta(hours=1),
        }
        return sign(Grant(**{**told, **other}), {"1": self.key})

    async def tell(self, grant: Grant, pictures: Mapping[int, bytes], **lies: Any) -> None:
        frames = tuple(_rendered(frame, data, lies) for frame, data in pictures.items())
        await self.world.say(self.id, FramesRendered(grant=grant, frames=frames))

    async def room(self, grant: Grant, pictures: Mapping[int, bytes], **lies: Any) -> dict[int, FrameUpload]:
        """Upload URLs for these frames."""
        await self.tell(grant, pictures, **lies)

        def granted() -> dict[int, FrameUpload]:
            mine = [event for event in self.box if isinstance(event, UploadGranted) and event.attempt == grant.attempt]
            found = {upload.frame: upload for event in mine for upload in event.uploads}
            return found if set(pictures) <= set(found) else {}

        return await until(granted, "upload URLs")

    async def put(self, rooms: Mapping[int, FrameUpload], pictures: Mapping[int, bytes]) -> None:
        async with httpx.AsyncClient() as http:
            for frame, data in pictures.items():
                answer = await http.put(rooms[frame].url, content=data, headers={"content-type": rooms[frame].content_type})
                answer.raise_for_status()

    async def complete(self, grant: Grant, pictures: Mapping[int, bytes]) -> None:
        frames = tuple(CompletedFrame(frame=frame, file_sha256=sha256(data)) for frame, data in pictures.items())
        await self.world.say(self.id, FramesCompleted(grant=grant, frames=frames))

    async def deliver(self, grant: Grant, pictures: Mapping[int, bytes]) -> None:
        await self.put(await self.room(grant, pictures), pictures)
        await self.complete(grant, pictures)


def _rendered(frame: int, data: bytes, lies: Mapping[str, Any]) -> RenderedFrame:
    try:
        pixels = pixel_sha256(data)
    except (OSError, Image.DecompressionBombError):
        pixels = sha256(data)
    told = {"bytes": len(data), "file_sha256": sha256(data), "pixel_sha256": pixels, "cpu_micros": 1_000_000}
    return RenderedFrame(frame=frame, **{**told, **lies})
