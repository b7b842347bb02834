"""An attacker's bundle given to the agent's own code: cache, machine of the attempt, renderer, Docker. Only the bus is left out.

Whatever runs in the container is the attacker's: an image of ours with his driver in it. What is looked at is the container.
"""

import asyncio
import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aio_pika import RobustConnection
from yarl import URL

from agent.bundle import BundleCache
from agent.container import Engine
from agent.domain import machine, signals
from agent.domain.attempt import Attempt, Ending, Phase
from agent.journal import Journal
from agent.lockdown import Guards
from agent.outbox import Outbox
from agent.runner import Runner
from agent.settings import AgentSettings
from agent.traces import AttemptTrace
from agent.uploads import Uploader
from agent.workplace import Background, Folders, Workplace
from contracts.bus import Announcer, new_id
from contracts.events import ChunkAssigned
from infra.images import engine
from infra.images.rendering import CPU, render_image_id
from infra.images.wheels import alone, digest, fresh_folder
from tests.unit.agent.builders import a_grant, an_assignment

HERE = Path(__file__).resolve().parent / "hostile"
DRIVER = HERE / "driver.py"
ATTACKS = sorted(set(HERE.glob("*.py")) - {DRIVER, HERE / "__init__.py"})
TAG = "framelend/hostile:test"
DOCKERFILE = """ARG BASE
FROM ${BASE}
USER root
RUN mv /opt/framelend/driver.py /opt/framelend/honest.py
COPY driver.py /opt/framelend/driver.py
USER 10001:10001
"""
Orders = Sequence[tuple[str, dict[str, Any]]]
SECONDS = 300.0


def hostile_image() -> str:
    """The render image with the attacker's driver where ours was; built if need be."""
    inputs = digest([DRIVER], DOCKERFILE + render_image_id())
    if found := engine.image_id(TAG, inputs):
        return found
    with alone():
        context = fresh_folder("hostile", [DRIVER])
        (context / "Dockerfile").write_text(DOCKERFILE)
        return engine.build(TAG, context, CPU.tag, inputs)


class Watched(Runner):
    """Keeps what it was fed."""

    def __init__(self, place: Workplace, attempt: Attempt, orders: Callable[[bool], None]) -> None:
        super().__init__(place, attempt, AttemptTrace({}, {}), orders, lambda _: None)
        self.heard: list[signals.Input] = []

    def feed(self, happened: signals.Input) -> None:
        self.heard.append(happened)
        super().feed(happened)


@dataclass
class Raid:
    """One container of attacks. `reports`: attack → (escaped, words)."""

    runner: Watched
    began: float = field(default_factory=time.monotonic)

    @property
    def ending(self) -> Ending:
        ending = self.runner.attempt.ending or self.runner.attempt.stopping
        assert ending is not None, self.runner.attempt
        return ending

    @property
    def said(self) -> str:
        """The container's last words, as the agent kept them."""
        return "\n".join(str(one.log_tail) for one in self.runner.heard if isinstance(one, signals.ContainerExited))

    @property
    def reports(self) -> dict[str, tuple[bool, str]]:
        lines = [line.split("|") for line in self.said.splitlines() if line.count("|") == 2]
        return {name: (outcome == "escaped", words) for name, outcome, words in lines}

    @property
    def pictures(self) -> list[int]:
        return [one.picture.frame for one in self.runner.heard if isinstance(one, signals.FrameTaken)]


class Lair:
    """An agent's folder and what works in it; `guards` are the locks of its containers."""

    def __init__(self, folder: Path, image: str, guards: Guards | None = None) -> None:
        self.image, self.agent = image, new_id()
        self.folders = Folders(folder)
        self.folders.clear()
        (folder / "agent.json").touch(mode=0o600)
        journal = Journal(self.folders.journal)
        self.nobody = RobustConnection(URL("amqp://127.0.0.1:1/"))
        announcer = Announcer(self.nobody, self.agent)
        self.http = httpx.AsyncClient(trust_env=False)
        self.place = Workplace(
            agent=self.agent,
            settings=AgentSettings(agent_file=folder / "agent.json", agent_dir=folder, agent_cpus=1.5, agent_slots=3),
            folders=self.folders,
            engine=Engine(journal.home(), guards),
            cache=BundleCache(self.folders.cache, 1 << 30, 0),
            journal=journal,
            outbox=Outbox(journal, announcer),
            announcer=announcer,
            http=self.http,
            uploader=Uploader(self.http),
            slots=asyncio.Semaphore(3),
            background=Background(),
        )

    async def close(self) -> None:
        await self.place.background.finish(5)
        await self.place.engine.sweep(frozenset)
        await self.http.aclose()
        await self.nobody.close()
        self.place.journal.close()
        self.place.engine.close()

    async def keep(self, files: dict[str, bytes]) -> str:
        """A bundle in the cache; its hash."""
        archive = self.folders.work / new_id()
        with zipfile.ZipFile(archive, "w") as packed:
            for name, content in files.items():
                packed.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
        sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
        if self.place.cache.find(sha256) is None:
            await self.place.cache.add(sha256, archive)
        archive.unlink()
        return sha256

    async def attack(self, orders: Orders, **changes: Any) -> Raid:
        """Runs the attacks, one after the other in one container, until it has ended."""
        raid = await self.begin(orders, **changes)
        await self.ended(raid)
        return raid

    async def begin(self, orders: Orders, **changes: Any) -> Raid:
        files = {path.name: path.read_bytes() for path in ATTACKS}
        return await self.render({**files, "orders.json": json.dumps(orders).encode(), "scene.blend": b"BLENDER"}, **changes)

    async def render(self, files: dict[str, bytes], **changes: Any) -> Raid:
        """An attempt with these files as its bundle begins."""
        bundle = await self.keep(files)
        grant = a_grant(1, agent=self.agent, attempt=new_id(), bundle=bundle, **changes.pop("grant", {}))
        assignment = ChunkAssigned.model_validate(
            {**an_assignment().model_dump(), "image": self.image, "grant": grant.model_dump(), **changes}
        )
        now = self.place.now()
        attempt, actions = machine.begin(assignment, now, now + 600)
        runner = Watched(self.place, attempt, lambda _: None)
        self.place.journal.open_attempt(attempt, runner.headers(), 600)
        runner.begin(actions)
        return Raid(runner)

    async def ended(self, raid: Raid) -> None:
        """Ticks as the desk does, until nothing runs any more."""
        while raid.runner.attempt.phase in (Phase.FETCHING, Phase.RENDERING):
            assert time.monotonic() - raid.began < SECONDS, raid.runner.attempt
            raid.runner.feed(signals.Tick())
            await asyncio.sleep(0.1)

    async def withdraw(self, raid: Raid) -> None:
        raid.runner.feed(signals.Withdrawn("the test is over"))
        await self.ended(raid)


@asynccontextmanager
async def a_lair(folder: Path, image: str, **off: bool) -> AsyncIterator[Lair]:
    """`off`: locks by name, False for the ones that are taken away."""
    lair = Lair(folder, image, Guards(**off))
    try:
        yield lair
    finally:
        await lair.close()
        shutil.rmtree(folder, ignore_errors=True)
