"""A small world for integration tests: a virtual host and databases of its own, real service processes, and ears on the bus."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection
from aiormq.exceptions import AuthenticationError, InvalidFrameError, ProbableAuthenticationError
from yarl import URL

from contracts.bus import Announcement, Announcer, connect, new_id, read
from contracts.events import Event
from contracts.topology import AGENTS, EVENTS, MAILBOX_ARGUMENTS, MAILBOXES, agent_permissions, dead_letters, mailbox
from infra.local.farmfile import FarmFile
from infra.local.services import environment
from infra.rabbitmq import definitions
from tests.integration.databases import Databases
from tests.waiting import until

E = TypeVar("E", bound=Event)
LOGS = Path("build/test-logs")


class Process:
    """A real service process of this world; its output goes to a file."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.name, self.port, self.log, self._popen = name, port, log, popen
        self.url = f"http://127.0.0.1:{port}"
        self.pid = popen.pid

    def kill(self) -> None:
        """kill -9."""
        self._popen.kill()
        self._popen.wait()

    def freeze(self) -> None:
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        if not self.ended():
            self._popen.terminate()

    def stop(self) -> int:
        """Returns the exit code."""
        self.tell_to_stop()
        return self._popen.wait(30)

    def ended(self) -> bool:
        return self._popen.poll() is not None

    def healthy(self) -> bool:
        if self.ended():
            raise AssertionError(f"{self.name} ended: see {self.log}\n{self.log.read_text()[-3000:]}")
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


class World:
    """One virtual host, one set of databases. Everything it makes it removes. Without `listens` nothing is `heard`: an ear on
    every message would be part of what a benchmark measures. `shards` of the scheduler."""

    def __init__(self, farm: FarmFile, listens: bool = True, shards: int = 1) -> None:
        self.farm, self._listens, self.shards = farm, listens, shards
        self.token = uuid4().hex[:10]
        self.vhost = f"test-{self.token}"
        self.heard: list[tuple[str, Event]] = []
        """(routing key, event) of everything said on farm.events and farm.agents, in the order it was said."""
        self._processes: list[Process] = []
        self._announcers: dict[str, Announcer] = {}
        self._connections: list[AbstractRobustConnection] = []
        self._agents: list[str] = []
        self._databases = Databases(farm, self.token)

    # --- life

    async def open(self) -> None:
        passwords = self.farm.service_passwords("AMQP")
        await asyncio.to_thread(definitions.apply, *self._management, self.vhost, passwords, self.shards)
        if self._listens:
            await self._listen()

    async def close(self) -> None:
        for process in self._processes:
            process.tell_to_stop()
        for process in self._processes:
            process.stop()
        for connection in self._connections:
            await connection.close()
        for agent in self._agents:
            await asyncio.to_thread(self._manage, "DELETE", f"/api/users/{agent}")
        await asyncio.to_thread(definitions.drop, *self._management, self.vhost)
        await self._databases.drop()

    @property
    def _management(self) -> tuple[str, tuple[str, str]]:
        return self.farm.http("RABBIT_MANAGEMENT"), self.farm.rabbit_admin

    # --- services

    def database(self, service: str) -> Any:
        """The database of a service of this world (motor)."""
        return self._databases.of(service)

    def environment(self, service: str, **extra: str) -> dict[str, str]:
        own = environment(service, self.farm, vhost=self.vhost, database=self._databases.name(service))
        return {**own, "FRAMELEND_MONGO_URL": self._databases.address(service), "FRAMELEND_SWEEP_SECONDS": "1", **extra}

    async def start(self, service: str, **extra: str) -> Process:
        """`python -m services <service>` with FRAMELEND_ settings in `extra`; returns when it is healthy."""
        port = free_port()
        env = {"PATH": os.environ["PATH"], **self.environment(service, **extra), "FRAMELEND_HTTP_PORT": str(port)}
        return await self.run(service, (sys.executable, "-m", "services", service), env, port)

    async def run(self, name: str, command: Sequence[str], env: dict[str, str], port: int) -> Process:
        """Any process with `/health` on `port`."""
        process = self._spawn(name, command, env, port)
        await until(lambda: asyncio.to_thread(process.healthy), f"{name} is healthy (log: {process.log})", 90)
        return process

    def _spawn(self, name: str, command: Sequence[str], env: dict[str, str], port: int) -> Process:
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{self.token}-{name}-{len(self._processes)}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
        process = Process(name, popen, port, log)
        self._processes.append(process)
        return process

    # --- the bus

    async def say(self, sender: str, *events: Event, id: str | None = None) -> None:
        """Publish as a service (with its own broker permissions), each event confirmed."""
        announcer = await self.announcer(sender)
        for event in events:
            await announcer.announce(Announcement(event, id=id or new_id()))

    async def announcer(self, sender: str, password: str | None = None) -> Announcer:
        if sender not in self._announcers:
            secret = password or self.farm[f"FARM_{sender.upper()}_AMQP_PASSWORD"]
            self._announcers[sender] = Announcer(await self.connect(sender, secret), sender)
        return self._announcers[sender]

    def speaks_over(self, sender: str, connection: AbstractRobustConnection) -> None:
        """What is said as this sender goes over its own connection: an agent may have few."""
        self._announcers[sender] = Announcer(connection, sender)

    async def connect(self, user: str, password: str) -> AbstractRobustConnection:
        connection = await connect(self.farm.amqp_url(user, password, self.vhost), f"test as {user}")
        self._connections.append(connection)
        return connection

    async def refuses(self, user: str, password: str) -> bool:
        """True when the broker does not let this user in."""
        connection = aio_pika.Connection(URL(self.farm.amqp_url(user, password, self.vhost)))
        try:
            await connection.connect()
        except (AuthenticationError, ProbableAuthenticationError, InvalidFrameError):
            return True
        except asyncio.CancelledError:  # like InvalidFrameError: the user may log in and not enter this virtual host
            if (this := asyncio.current_task()) and this.cancelling():
                raise
            return True
        finally:  # the library leaves a refused connection open, and its end to the garbage collector
            await connection.close()
        return False

    async def admin(self) -> AbstractRobustConnection:
        """May do anything, like the operator."""
        return await self.connect(*self.farm.rabbit_admin)

    async def an_agent(self, name: str = "agent") -> tuple[str, str]:
        """A broker user with exactly an agent's permissions, and its mailbox: (agent id, secret)."""
        agent, secret = f"{name}-{uuid4().hex[:8]}", uuid4().hex
        await asyncio.to_thread(self._make_agent, agent, secret)
        self._agents.append(agent)
        await self.announcer(agent, secret)
        return agent, secret

    async def put_out(self, agent: str) -> None:
        """As quarantine does: the broker does not know this agent any more, and closes its connections."""
        await asyncio.to_thread(self._manage, "DELETE", f"/api/users/{agent}")

    async def let_in(self, agent: str, secret: str) -> None:
        await asyncio.to_thread(self._make_agent, agent, secret)

    def forget_later(self, agent: str) -> None:
        """A broker user somebody else made; users are the broker's, not the virtual host's, so it must be removed."""
        self._agents.append(agent)

    def _make_agent(self, agent: str, secret: str) -> None:
        rights = agent_permissions(agent)
        self._manage("PUT", f"/api/users/{agent}", {"password": secret, "tags": ""})
        body = {"configure": rights.configure, "write": rights.write, "read": rights.read}
        self._manage("PUT", f"/api/permissions/{self.vhost}/{agent}", body)
        for exchange, write in rights.topics.items():
            topic = {"exchange": exchange, "write": write, "read": "^$"}
            self._manage("PUT", f"/api/topic-permissions/{self.vhost}/{agent}", topic)
        queue = {"durable": True, "auto_delete": False, "arguments": dict(MAILBOX_ARGUMENTS)}
        self._manage("PUT", f"/api/queues/{self.vhost}/{mailbox(agent)}", queue)
        self._manage("POST", f"/api/bindings/{self.vhost}/e/{MAILBOXES}/q/{mailbox(agent)}", {"routing_key": agent})

    def _manage(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        url, auth = self._management
        answer = httpx.request(method, f"{url}{path}", auth=auth, json=body, timeout=10)
        if not (method == "DELETE" and answer.status_code == 404):
            answer.raise_for_status()
        return answer

    async def read_mailbox(self, agent: str, password: str) -> list[Event]:
        """From now on everything in this agent's mailbox is appended to the returned list, as the agent itself would get it."""
        found: list[Event] = []
        channel = await (await self.connect(agent, password)).channel()
        queue = await channel.get_queue(mailbox(agent), ensure=True)

        async def take(message: AbstractIncomingMessage) -> None:
            found.append(read(str(message.type), message.body))
            await message.ack()

        await queue.consume(take)
        return found

    async def dead(self, service: str) -> list[AbstractIncomingMessage]:
        """Takes (and acks) all dead letters of a service."""
        channel = await (await self.admin()).channel()
        queue = await channel.get_queue(dead_letters(service), ensure=False)
        found = []
        while (message := await queue.get(fail=False)) is not None:
            await message.ack()
            found.append(message)
        return found

    def said(self, event: type[E], **where: object) -> list[E]:
        """Everything of this type heard so far whose fields equal `where`."""
        return [
            fact for _, fact in self.heard if isinstance(fact, event) and all(getattr(fact, k) == v for k, v in where.items())
        ]

    async def hear(self, event: type[E], seconds: float = 60, **where: object) -> E:
        """Waits for the first of this type with these fields."""
        wanted = await until(lambda: self.said(event, **where), f"{event.__name__} {where}", seconds)
        return wanted[0]

    async def _listen(self) -> None:
        channel = await (await self.admin()).channel()
        queue = await channel.declare_queue(exclusive=True)
        for exchange in (EVENTS, AGENTS):
            await queue.bind(await channel.get_exchange(exchange, ensure=False), "#")

        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            self.heard.append((str(message.routing_key), read(str(message.type), message.body)))

        await queue.consume(take, no_ack=True)


def free_port() -> int:
    """Not soon the same again, so that services that start together do not meet, and none that the kernel gives to whoever
    connects somewhere (from 32768 on)."""
    for port in itertools.islice(_PORTS, 4_768):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


_PORTS = itertools.cycle(random.sample(range(28_000, 32_768), 4_768))
