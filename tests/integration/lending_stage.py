"""A stage for lending: intake, scheduler and storage as processes, a lender's commands, and what machine and broker know."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import aio_pika
import httpx
import pytest_asyncio
from aio_pika.abc import AbstractRobustConnection

from contracts.bus import Announcement, new_id
from contracts.events import AgentReady, Event
from contracts.topology import AGENTS, INTAKE, SCHEDULER, STORAGE
from contracts.values import Hardware
from tests.integration.intake_stage import Person, Stage
from tests.integration.intake_stage import connection as door
from tests.integration.world import Process, World, free_port

IMAGE = "sha256:" + "a" * 64
SETTINGS = {
    INTAKE: {"FRAMELEND_RENDER_IMAGE": IMAGE},
    SCHEDULER: {"FRAMELEND_RENDER_IMAGE": IMAGE},
    STORAGE: {},
}


@dataclass(frozen=True)
class Done:
    code: int
    said: str
    """Both streams."""


@dataclass
class Lending:
    world: World
    folder: Path
    services: dict[str, Process]
    operator: Person
    people: list[Person] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[INTAKE]}"

    async def start(self, service: str) -> None:
        """Always at the same address."""
        port = self.ports.setdefault(service, free_port())
        extra = SETTINGS[service] | ({"FRAMELEND_S3_BUCKET": f"test-{self.world.token}"} if service == STORAGE else {})
        env = {**self.world.environment(service, **extra), "PATH": os.environ["PATH"], "FRAMELEND_HTTP_PORT": str(port)}
        command = (sys.executable, "-m", "services", service)
        self.services[service] = await self.world.run(service, command, env, port)

    async def a_person(self, *roles: str) -> Person:
        stage = Stage(self.world, self.services[INTAKE], self.operator, self.people)
        return await stage.a_person(*roles)

    # --- a lender's commands

    async def framelend(self, who: Person, *words: str) -> Done:
        env = {"FRAMELEND_URL": self.url, "FRAMELEND_KEY": who.key, "XDG_CONFIG_HOME": str(self.folder), "COLUMNS": "200"}
        return await self._run(env, "-m", "framelend", *words)

    async def code(self, who: Person) -> str:
        done = await self.framelend(who, "agents", "code", "--json")
        assert done.code == 0, done.said
        return str(json.loads(done.said)["code"])

    async def enrol(self, code: str, home: Path) -> Done:
        """`framelend-agent enrol` on the machine whose user lives in `home`."""
        process = await self.begin_to_enrol(code, home)
        out, _ = await process.communicate()
        return Done(int(process.returncode or 0), out.decode())

    async def begin_to_enrol(self, code: str, home: Path) -> asyncio.subprocess.Process:
        return await _begun(machine(home), "-m", "agent.cli", "enrol", code, "--farm", self.url, "--name", "laptop")

    async def rotate(self, home: Path) -> Done:
        return await self._run(machine(home), "-m", "agent.cli", "rotate")

    async def _run(self, env: dict[str, str], *words: str) -> Done:
        process = await _begun(env, *words)
        out, _ = await process.communicate()
        return Done(int(process.returncode or 0), out.decode())

    async def a_machine(self, owner: Person) -> "Machine":
        """Enrolled with the owner's code, by the one call the agent's command makes."""
        home = self.folder / uuid4().hex[:8]
        done = await self.enrol(await self.code(owner), home)
        assert done.code == 0, done.said
        found = Machine(home)
        self.world.forget_later(found.id)
        return found

    @contextmanager
    def running(self, found: "Machine") -> Iterator[None]:
        """The agent itself, on this machine; it has no Docker and so offers no slot, but speaks and listens."""
        env = {"PATH": os.environ["PATH"], **machine(found.home), "DOCKER_HOST": f"unix://{found.home}/none"}
        log = (found.home / "agent.log").open("ab")
        with log, subprocess.Popen((sys.executable, "-m", "agent.cli", "run"), env=env, stdout=log, stderr=log) as agent:
            yield
            agent.terminate()

    # --- the broker, as its administrator sees it

    def manage(self, method: str, path: str) -> Any:
        url, auth = self.world.farm.http("RABBIT_MANAGEMENT"), self.world.farm.rabbit_admin
        answer = httpx.request(method, f"{url}/api/{path}", auth=auth, timeout=30)
        return answer.json() if answer.content and not answer.is_error else None

    async def left_behind(self, agent: str, event: Event) -> None:
        """A message in the inboxes as this agent would have left it: the broker lets an impersonator say whose it is."""
        user, secret = f"impersonator-{self.world.token}", uuid4().hex
        self.world.forget_later(user)
        await asyncio.to_thread(self._an_impersonator, user, secret)
        connection = await self.world.connect(user, secret)
        async with await connection.channel() as channel:
            exchange = await channel.get_exchange(AGENTS, ensure=False)
            await exchange.publish(Announcement(event).message(agent), f"{agent}.{event.key()}")

    def _an_impersonator(self, user: str, secret: str) -> None:
        url, auth = self.world.farm.http("RABBIT_MANAGEMENT"), self.world.farm.rabbit_admin
        rights = {"configure": "^$", "write": rf"^{AGENTS}$", "read": "^$"}
        for path, body in (
            (f"users/{user}", {"password": secret, "tags": "impersonator"}),
            (f"permissions/{self.world.vhost}/{user}", rights),
        ):
            httpx.put(f"{url}/api/{path}", auth=auth, json=body, timeout=30).raise_for_status()

    async def count(self, service: str, metric: str, **labels: str) -> float:
        """A counter of a service, as Prometheus would read it; 0 for one that has not counted yet."""
        text = (await asyncio.to_thread(httpx.get, f"{self.services[service].url}/metrics", timeout=10)).text
        wanted = {f'{name}="{value}"' for name, value in labels.items()}
        lines = [line for line in text.splitlines() if line.startswith(f"{metric}{{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(one in line for one in wanted))


async def _begun(env: dict[str, str], *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, env={"PATH": os.environ["PATH"], **env}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


def machine(home: Path) -> dict[str, str]:
    """The environment of a machine whose user has set nothing up."""
    return {"HOME": str(home)}


@dataclass(frozen=True)
class Machine:
    """What enrolment left in a home."""

    home: Path

    @property
    def file(self) -> Path:
        return self.home / ".config" / "framelend" / "agent.json"

    @property
    def credential(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    @property
    def id(self) -> str:
        return str(self.credential["agent"])

    @property
    def secret(self) -> str:
        return unquote(str(urlsplit(self.credential["amqp_url"]).password))

    async def connect(self) -> AbstractRobustConnection:
        return await aio_pika.connect_robust(self.credential["amqp_url"], reconnect_interval=1)


def a_ready(slots: int = 1) -> AgentReady:
    return AgentReady(run=new_id(), slots=slots, hardware=Hardware(cores=1, memory_bytes=1 << 32), images=(IMAGE,))


def permissions_at(lending: Lending, user: str) -> dict[str, Any]:
    """All that the broker's administration knows of a user."""
    name = quote(user, safe="")
    return {
        "rights": lending.manage("GET", f"users/{name}/permissions"),
        "topics": lending.manage("GET", f"users/{name}/topic-permissions"),
        "tags": (lending.manage("GET", f"users/{name}") or {}).get("tags"),
        "limits": lending.manage("GET", f"user-limits/{name}"),
    }


@pytest_asyncio.fixture(name="lending", scope="module", loop_scope="session")
async def the_lending(world: World, tmp_path_factory: Any) -> AsyncIterator[Lending]:
    key = world.farm["FARM_OPERATOR_KEY"]
    made = Lending(world, tmp_path_factory.mktemp("lending"), {}, Person("operator", key, door("http://127.0.0.1:1", key)))
    await asyncio.gather(*(made.start(service) for service in SETTINGS))
    await made.operator.http.aclose()
    made.operator = Person("operator", key, door(made.url, key))
    yield made
    for person in (made.operator, *made.people):
        await person.http.aclose()
