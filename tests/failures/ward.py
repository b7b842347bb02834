"""An agent's own code (cache, machine of the attempt, renderer, Docker) with one thing gone wrong. Only the bus is left out."""

import asyncio
import dataclasses
import hashlib
import io
import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import docker
import httpx

from agent.container import Engine, Running
from agent.domain import machine, signals
from agent.domain.attempt import Attempt, Ending, Phase
from agent.host import PROC
from agent.lockdown import Spec
from agent.runner import Runner
from agent.traces import AttemptTrace
from agent.workplace import Workplace
from contracts.bus import new_id
from contracts.events import BundleGranted, BundleRequested, ChunkAssigned, Event
from tests.security.lair import Lair
from tests.unit.agent.builders import a_grant, an_assignment
from tests.waiting import until

SECONDS = 150.0
Shape = Callable[[Spec], Spec]


class Ground(Workplace):
    """A workplace whose clock can jump, and whose words reach a storage that is played here."""

    skew = 0.0
    storage: Callable[[BundleRequested], None] | None = None

    def now(self) -> float:
        return super().now() + self.skew

    async def say(self, event: Event, trace: Mapping[str, str]) -> bool:
        if self.storage is None or not isinstance(event, BundleRequested):
            return False
        self.storage(event)
        return True


class Sent(httpx.AsyncByteStream):
    """What the store sends."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class Shaping(Engine):
    """Gives a container another shape before Docker hears of it."""

    def __init__(self, home: str) -> None:
        super().__init__(home)
        self.shape: Shape = lambda spec: spec
        self._address: str | None = None

    def through(self, address: str | None) -> None:
        """From now on Docker is there; None is where the environment says."""
        self.close()
        self._client, self._address = None, address

    @property
    def api(self) -> Any:
        if self._client is None and self._address is not None:
            self._client = docker.DockerClient(base_url=self._address, timeout=60)
        return super().api

    async def start(self, spec: Spec) -> Running:
        return await super().start(self.shape(spec))


class Patient(Runner):
    """An attempt that is going to fail."""

    def __init__(self, place: Workplace, attempt: Attempt, proc: Path) -> None:
        super().__init__(place, attempt, AttemptTrace({}, {}), lambda _: None, lambda _: None)
        self._proc = proc

    @property
    def box(self) -> str:
        """The container's name at Docker."""
        return f"framelend-{self.attempt.id}"

    def _do_start(self, start: signals.StartContainer) -> None:
        super()._do_start(start)
        assert self._render is not None
        self._render.proc = self._proc

    async def opened(self) -> None:
        """Returns when Blender has opened the scene, and renders."""
        await until(lambda: self.attempt.opened, "the scene is open")


Meddle = Callable[[Patient], Awaitable[None]]


class Ward(Lair):
    """One agent's folder. `scenes` holds a folder per bundle."""

    def __init__(self, folder: Path, image: str, scenes: Path) -> None:
        super().__init__(folder, image)
        self.scenes = scenes
        self.engine = Shaping(self.place.journal.home())
        kept = {field.name: getattr(self.place, field.name) for field in dataclasses.fields(self.place)}
        self.place.engine.close()
        self.place = self.ground = Ground(**{**kept, "engine": self.engine})

    async def docker(self, what: Callable[[Any], object]) -> None:
        """Something that the lender does to his Docker."""
        await self.engine.call(lambda: what(self.engine.api))

    async def fail(
        self,
        scene: str = "ok_small",
        *frames: int,
        program: str | None = None,
        meddle: Meddle | None = None,
        shape: Shape | None = None,
        proc: Path = PROC,
        patience: float = SECONDS,
        **changes: Any,
    ) -> Ending:
        """Renders until it has ended, however that is. `program` runs in the driver's place; `meddle` meanwhile."""
        files = {path.relative_to(self.scenes / scene).as_posix(): path for path in (self.scenes / scene).rglob("*")}
        bundle = await self.keep({name: path.read_bytes() for name, path in files.items() if path.is_file()})
        if program is not None:
            self.engine.shape = lambda spec: dataclasses.replace(spec, command=("python3", "-c", program))
        if shape is not None:
            self.engine.shape = shape
        patient = self._admit(bundle, *(frames or (1,)), proc=proc, **changes)
        return await self._watched(patient, meddle, patience)

    async def fetch(self, sent: bytes, meddle: Meddle | None = None, sha256: str | None = None, answers: bool = True) -> Ending:
        """An attempt whose bundle must be downloaded first; `sent` is what the store sends, if storage answers at all."""
        named = sha256 or hashlib.sha256(sent).hexdigest()
        self.ground.http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Sent(sent))))
        patient = self._admit(named, 1, bundle_bytes=len(sent))
        granted = {"bundle": named, "bytes": len(sent), "url": "http://store/bundle", "seconds_valid": 300}

        def answer(asked: BundleRequested) -> None:
            ids = {"agent": self.agent, "job": asked.grant.job, "attempt": asked.grant.attempt}
            patient.hear(BundleGranted.model_validate({**ids, **granted}))

        self.ground.storage = answer if answers else None
        try:
            return await self._watched(patient, meddle)
        finally:
            await self.ground.http.aclose()

    def assignment(self, bundle: str, *frames: int, **changes: Any) -> ChunkAssigned:
        grant = a_grant(*frames, agent=self.agent, attempt=new_id(), bundle=bundle, **changes.pop("grant", {}))
        plain = an_assignment(memory_bytes=2_000_000_000).model_dump()
        return ChunkAssigned.model_validate({**plain, "image": self.image, "grant": grant.model_dump(), **changes})

    def _admit(self, bundle: str, *frames: int, proc: Path = PROC, **changes: Any) -> Patient:
        now = self.ground.now()
        attempt, actions = machine.begin(self.assignment(bundle, *frames, **changes), now, now + 900)
        patient = Patient(self.ground, attempt, proc)
        self.ground.journal.open_attempt(attempt, patient.headers(), 900)
        patient.begin(actions)
        return patient

    async def _watched(self, patient: Patient, meddle: Meddle | None, patience: float = SECONDS) -> Ending:
        began, meddling = time.monotonic(), asyncio.create_task(_nothing() if meddle is None else _run(meddle, patient))
        try:
            while patient.attempt.phase in (Phase.FETCHING, Phase.RENDERING):
                assert time.monotonic() - began < patience, patient.attempt
                assert not (meddling.done() and meddling.exception()), meddling.exception()
                patient.feed(signals.Tick())
                await asyncio.sleep(0.1)
        finally:
            meddling.cancel()
            await asyncio.gather(meddling, return_exceptions=True)
        assert patient.attempt.ending is not None, patient.attempt
        return patient.attempt.ending


async def _nothing() -> None:
    pass


async def _run(meddle: Meddle, patient: Patient) -> None:
    await meddle(patient)


Provoke = Callable[[Ward], Awaitable[Ending]]


@asynccontextmanager
async def a_ward(folder: Path, image: str, scenes: Path) -> AsyncIterator[Ward]:
    ward = Ward(folder, image, scenes)
    try:
        yield ward
    finally:
        ward.engine.through(None)
        await ward.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """Mounts a real file system of so many kilobytes over the folder."""
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={kilobytes}k,mode=0700,uid={os.getuid()}"
    subprocess.run([*rights, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run([*rights, "umount", "-l", str(folder)], check=True)


def an_archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return packed.getvalue()
