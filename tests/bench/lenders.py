"""Agents that deliver pictures nobody rendered: they ask for room, put real PNGs into the store by signed URLs, and say so."""

import asyncio
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiormq
import httpx
import numpy
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
from PIL import Image

from contracts.bus import new_id
from contracts.events import CompletedFrame, FramesCompleted, FramesRendered, FrameUpload, RenderedFrame, UploadGranted
from contracts.grants import Grant, sign
from contracts.topology import mailbox
from contracts.values import FrameRange, Kind, Picture
from tests.bench.held import BUNDLE
from tests.bench.voice import Voice
from tests.pictures import pixel_sha256

PICTURE = Picture(width=480, height=270)
PUTS_AT_ONCE = 4


@dataclass(frozen=True)
class Rendering:
    """A picture, and what an agent would say of it."""

    data: bytes
    file_sha256: str
    pixel_sha256: str

    @classmethod
    def of(cls, data: bytes) -> "Rendering":
        return cls(data, hashlib.sha256(data).hexdigest(), pixel_sha256(data))


@dataclass(frozen=True)
class Staged:
    """A frame that lies in the store and waits for its agent's word."""

    grant: Grant
    word: CompletedFrame


@dataclass
class Lenders:
    """`url` is of the user that may speak for all of `agents`."""

    url: str
    agents: Sequence[str]
    key: bytes
    _channel: AbstractChannel | None = None
    _connection: AbstractConnection | None = None
    _rooms: dict[str, "asyncio.Future[FrameUpload]"] = field(default_factory=dict)

    async def open(self) -> None:
        self._connection = await aiormq.connect(self.url)
        self._channel = await self._connection.channel(publisher_confirms=True)
        for agent in self.agents:
            await self._channel.basic_consume(mailbox(agent), self._take, no_ack=True)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _take(self, message: DeliveredMessage) -> None:
        if message.header.properties.message_type == UploadGranted.key():
            granted = UploadGranted.model_validate_json(message.body)
            self._rooms[granted.attempt].set_result(granted.uploads[0])

    async def stage(self, places: Sequence[tuple[str, int]], pictures: Sequence[Rendering]) -> list[Staged]:
        """An attempt for each (job, frame), agents and pictures in turn."""
        turns = asyncio.Semaphore(PUTS_AT_ONCE)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:

            async def one(number: int, job: str, frame: int) -> Staged:
                async with turns:
                    return await self._stage(http, self._grant(job, frame), pictures[number % len(pictures)])

            return await asyncio.gather(*(one(number, job, frame) for number, (job, frame) in enumerate(places)))

    async def _stage(self, http: httpx.AsyncClient, grant: Grant, picture: Rendering) -> Staged:
        frame = grant.frames[0].first
        self._rooms[grant.attempt] = asyncio.get_running_loop().create_future()
        word = RenderedFrame(
            frame=frame, bytes=len(picture.data), file_sha256=picture.file_sha256, pixel_sha256=picture.pixel_sha256,
            cpu_micros=2_000_000, seconds=1.0,
        )  # fmt: skip
        await self.voice(grant.agent).say(FramesRendered(grant=grant, frames=(word,)))
        room = await asyncio.wait_for(self._rooms[grant.attempt], 60)
        answer = await http.put(room.url, content=picture.data, headers={"content-type": room.content_type})
        answer.raise_for_status()
        return Staged(grant, CompletedFrame(frame=frame, file_sha256=picture.file_sha256, seconds=1.0))

    def voice(self, agent: str) -> Voice:
        assert self._channel is not None, "open() first"
        return Voice(self._channel, agent)

    async def complete(self, staged: Staged) -> None:
        await self.voice(staged.grant.agent).say(FramesCompleted(grant=staged.grant, frames=(staged.word,)))

    def _grant(self, job: str, frame: int) -> Grant:
        grant = Grant(
            agent=self.agents[frame % len(self.agents)], job=job, chunk=f"chunk-{new_id()}", attempt=new_id(), kind=Kind.RENDER,
            frames=(FrameRange(first=frame, last=frame),), version=1, bundle=BUNDLE, picture=PICTURE, max_bytes=4 << 20,
            until=datetime.now(UTC) + timedelta(hours=1),
        )  # fmt: skip
        return sign(grant, {"1": self.key})


def pictures(number: int) -> list[Rendering]:
    """Soft gradients under a little noise, about as large as a small rendered frame."""
    return [Rendering.of(_png(seed)) for seed in range(number)]


def _png(seed: int) -> bytes:
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0 : PICTURE.height, 0 : PICTURE.width]
    soft = numpy.stack([128 + 90 * numpy.sin(x / 60 + seed), 128 + 90 * numpy.cos(y / 40), 128 + 60 * numpy.sin((x + y) / 90)], 2)
    noisy = numpy.clip(soft + random.normal(0, 3, soft.shape), 0, 255).astype(numpy.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "PNG")
    return out.getvalue()
