"""A whole farm for tests: the five services, agents as processes of their own, accounts, and a renter's client."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from framelend import Client

from contracts.topology import SERVICES
from tests.integration.world import Process, World, free_port
from tests.waiting import until

FIRM = {"FRAMELEND_DRIFT_PERCENT": "1000"}
"""All machines of a test are one, and what runs beside it makes its frames dearer than quoted: that is no test's subject here."""


@dataclass(frozen=True)
class Account:
    """An account of this farm and its API key."""

    id: str
    key: str
    email: str


class Farm:
    """Opened by the fixture; every process it starts ends with it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self._folder = world, folder
        self.services: dict[str, Process] = {}
        self.agents: dict[str, Process] = {}
        self.operator = ""

    async def open(self, **scheduler: str) -> None:
        """All five services; `scheduler` holds extra FRAMELEND_ settings of the scheduler."""
        await asyncio.gather(*(self.start(name, **(scheduler if name == "scheduler" else {})) for name in SERVICES))
        self.operator = self.world.farm["FARM_OPERATOR_KEY"]

    async def start(self, name: str, **extra: str) -> Process:
        own = {"storage": {"FRAMELEND_S3_BUCKET": f"test-{self.world.token}"}, "scheduler": FIRM}.get(name, {})
        self.services[name] = await self.world.start(name, **own, **extra)
        return self.services[name]

    @property
    def url(self) -> str:
        return self.services["intake"].url

    async def account(self, name: str, role: str = "renter", credits: int = 0) -> Account:
        """Opened and funded by the operator."""
        return await asyncio.to_thread(self._account, f"{name}-{uuid4().hex[:6]}@example.org", name, role, credits)

    def _account(self, email: str, name: str, role: str, credits: int) -> Account:
        with Client(self.url, self.operator) as operator:
            opened = operator.open_account(name, email, [role])
            if credits:
                operator.issue_credits(opened.id, credits)
        return Account(opened.id, opened.key, email)

    def client(self, account: Account) -> Client:
        return Client(self.url, account.key)

    async def enrol(self, owner: str, name: str, house: bool = False) -> str:
        """The operator's command; returns the agent's id, its credential lies in its folder."""
        agent = f"{name}-{uuid4().hex[:8]}"
        home = self._folder / agent
        home.mkdir(parents=True)
        broker = f"amqp://127.0.0.1:{self.world.farm.port('AMQP')}/{self.world.vhost}"
        words = ["--agent", agent, "--owner", owner, "--name", name, "--amqp", broker, "--out", str(home / "agent.json")]
        command = [sys.executable, "-m", "services.scheduler.enrol", *words, *(["--house"] if house else [])]
        env = {"PATH": os.environ["PATH"], **self.world.environment("scheduler")}
        done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.world.forget_later(agent)
        return agent

    def credential(self, agent: str) -> Path:
        """The file that enrolment left for this agent."""
        return self._folder / agent / "agent.json"

    async def lend(self, owner: str, name: str, house: bool = False, cpus: float = 0) -> str:
        """Enrol an agent and start it; returns its id when it is healthy."""
        agent = await self.enrol(owner, name, house)
        await self.run_agent(agent, cpus)
        return agent

    async def run_agent(self, agent: str, cpus: float = 0, **extra: str) -> Process:
        """`extra`: what else stands in its environment."""
        home, port, farm = self._folder / agent, free_port(), self.world.farm
        env = {
            "PATH": os.environ["PATH"],
            "FRAMELEND_AGENT_FILE": str(home / "agent.json"),
            "FRAMELEND_AGENT_DIR": str(home),
            "FRAMELEND_AGENT_HTTP_PORT": str(port),
            "FRAMELEND_AGENT_IMAGE": farm["FARM_RENDER_IMAGE"],
            "FRAMELEND_AGENT_PRIORITY": "normal",
            "FRAMELEND_OTLP_URL": f"{farm.http('TRACEBOX')}/v1/traces",
            "DOCKER_HOST": farm["FARM_DOCKER_HOST"],
            **({"FRAMELEND_AGENT_CPUS": str(cpus)} if cpus else {}),
            **extra,
        }
        self._measured_before(Path(env["FRAMELEND_AGENT_DIR"]), cpus)
        process = await self.world.run(agent, (sys.executable, "-m", "agent.cli", "run"), env, port)
        self.agents[agent] = process
        return process

    def _measured_before(self, home: Path, cpus: float) -> None:
        """All agents of a test are one machine, which the first of them measures for all (`agent/benchmark.py` keeps it)."""
        home.mkdir(parents=True, exist_ok=True)
        kept = home / "benchmark.json"
        if not kept.exists() and not kept.is_symlink():
            kept.symlink_to(self._folder / f"benchmark-{cpus}.json")

    async def dismiss(self, agent: str) -> None:
        """Its owner stops the agent for good."""
        assert await asyncio.to_thread(self.agents.pop(agent).stop) == 0, agent

    async def state_of(self, client: Client, job: str, wanted: str, seconds: float = 120) -> None:
        """Waits until the job's state is `wanted`; fails at once when it ends otherwise."""

        def reached() -> bool:
            now = client.job(job)
            assert now.state == wanted or now.state not in ("failed", "cancelled"), f"{now.state}: {now.reason}"
            return now.state == wanted

        await until(lambda: asyncio.to_thread(reached), f"job {job} is {wanted}", seconds)
