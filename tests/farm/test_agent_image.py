"""The agent in its own image, beside its render containers: by the lines of the README, on the engine that runs both."""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from framelend import Client

from infra.images import engine, ours
from infra.local.engine import host
from infra.local.layout import CHECKOUT
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import accepted, settled, submitted
from tests.integration.world import free_port
from tests.waiting import until

pytestmark = pytest.mark.long
SECONDS = 120


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """At the same absolute path inside and outside: the engine resolves what the agent asks it to mount, and it is outside."""
    folder = tmp_path_factory.mktemp("boxed")
    _as_root(folder, "chown", f"{USER}:{USER}", str(folder))
    yield folder
    _as_root(folder, "chown", "-R", f"{os.geteuid()}:{os.getegid()}", str(folder))


def _user() -> str:
    found = re.search(r"^USER (\d+):\1$", (ours.HERE / "agent/Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


USER = _user()


def _as_root(folder: Path, *command: str) -> None:
    words = ("run", "--rm", "--user", "0:0", "-v", f"{folder}:{folder}", "--entrypoint", command[0], ours.image("agent"))
    done = engine.docker(*words, *command[1:])
    assert done.returncode == 0, done.stderr


def _box(home: Path, *more: str, kept: tuple[str, ...] = ("--rm",)) -> tuple[str, ...]:
    """Engine, its group, the folder, and a network that reaches the farm. `kept`: what becomes of the container."""
    socket = urlsplit(host()).path
    reach = ("--network", "host", "--group-add", str(os.stat(socket).st_gid), "-v", f"{socket}:{socket}")
    return (
        "docker",
        "-H",
        host(),
        "run",
        *kept,
        *reach,
        "-v",
        f"{home}:{home}",
        "-e",
        f"HOME={home}",
        *more,
        ours.image("agent"),
    )


async def _enrolled(house: Farm, lender: Account, home: Path) -> str:
    with house.client(lender) as client:
        words = ("enrol", client.agent_code().code, "--farm", house.url, "--name", "boxed")
    done = await asyncio.to_thread(subprocess.run, (*_box(home), *words), capture_output=True, text=True, timeout=SECONDS)
    found = re.search(r"This machine is (\S+) now", done.stdout)
    assert found is not None, done.stdout + done.stderr
    house.world.forget_later(found[1])
    return found[1]


async def test_an_agent_in_its_image_comes_to_the_farm_and_renders(house: Farm, scenes: Path, home: Path) -> None:
    lender, renter = await house.account("lena", "lender"), await house.account("rita", credits=50)
    agent, port = await _enrolled(house, lender, home), free_port()
    more = ("--name", f"framelend-{agent}", "-e", f"FRAMELEND_AGENT_HTTP_PORT={port}", "-e", "FRAMELEND_AGENT_PRIORITY=normal")
    house.agents[agent] = await house.world.run(agent, _box(home, *more), {"PATH": os.environ["PATH"]}, port)
    job = await submitted(house, renter, scenes / "ok_small", "1-8", allows=["named"], lenders=[lender.id])
    await accepted(house, renter, job)
    done = await settled(house, renter, job)
    assert (done.state, done.stored) == ("completed", 8), done.reason
    assert {line.agent for line in done.agents if line.stored} >= {agent}, "beside what the house agent has sampled"
    told = await asyncio.to_thread(_says, agent, "doctor")
    for line in ("ok  user", "ok  container: runs with every lock", "ok  farm and clock", "ok  broker", "ok  store and clock"):
        assert line in told, told
    assert f"{agent}: " in await asyncio.to_thread(_says, agent, "status")
    await house.dismiss(agent)


def _says(agent: str, command: str) -> str:
    done = engine.docker("exec", f"framelend-{agent}", "framelend-agent", command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def boxed() -> Iterator[str]:
    """The name of a container that is gone after the test, whatever became of it."""
    name = f"framelend-{uuid4().hex}"
    yield name
    engine.docker("rm", "-f", name)


def _restart() -> str:
    """What the README tells a lender to give `docker run`."""
    found = re.search(r"^box -d .* (--restart \S+) ", (CHECKOUT / "README.md").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def _stood(name: str) -> list[str]:
    """Its state, how it ended last, and how often the engine has started it again; empty until either is so."""
    told = engine.docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}", name).stdout.split()
    return told if told[0] == "exited" or told[2] != "0" else []


@pytest.mark.parametrize(("policy", "stays_away"), [(_restart(), True), ("--restart unless-stopped", False)])
async def test_an_agent_in_its_image_that_is_ordered_to_stop_stays_away(
    house: Farm, home: Path, boxed: str, policy: str, stays_away: bool
) -> None:
    """By the line of the README; the control is the policy that asks for no exit code."""
    lender = await house.account("lena", "lender")
    agent = await _enrolled(house, lender, home)
    words = _box(home, "--name", boxed, kept=("-d", *policy.split()))
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    with house.client(lender) as client:
        await until(lambda: asyncio.to_thread(_is_online, client, agent), f"{agent} is online", SECONDS)
        await asyncio.to_thread(client.order_agent, agent, "stop")
    stood = await until(lambda: asyncio.to_thread(_stood, boxed), "the agent has ended", SECONDS)
    assert (stood == ["exited", "0", "0"]) is stays_away, stood


def _is_online(client: Client, agent: str) -> bool:
    return any((one.id, one.state) == (agent, "online") for one in client.agents())


async def test_an_agent_with_the_number_of_its_render_containers_does_not_start(house: Farm, home: Path) -> None:
    """The control is the test before: with its own number it does."""
    await _enrolled(house, await house.account("lena", "lender"), home)
    _as_root(home, "chown", "-R", "10001:10001", str(home))
    words = _box(home, "--user", "10001:10001")
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, "render containers" in done.stderr) == (78, True), done.stdout + done.stderr
