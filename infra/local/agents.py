"""Agents of this machine: enrolled by the operator's command, run under the farm's supervisor like everything else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from infra.local import farmfile, readiness, words
from infra.local.farmfile import FarmFile
from infra.local.infrastructure import Part
from infra.local.layout import PYTHON, Layout, write_private
from infra.local.ports import next_free
from infra.local.programs import Program

OPERATOR = "operator"
"""The operator's own account; it owns the house agent."""


@dataclass(frozen=True)
class Lent:
    """A computer that takes part: its agent's id, whose it is, and how much of it is lent."""

    agent: str
    owner: str
    name: str
    house: bool = False
    cpus: float = 0.0
    """CPUs that its containers may use; 0 is all of them."""


HOUSE = Lent(agent="house", owner=OPERATOR, name="House agent", house=True)


def enrol(layout: Layout, farm: FarmFile, lent: Lent) -> None:
    """Tell the scheduler about it; the credential is written to a private file in the farm folder. Once is enough: after that
    only the way to the broker may change."""
    home = layout.data("agents") / lent.agent
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (home / "agent.json").exists():
        return follow_the_broker(home, farm)
    broker = f"amqp://127.0.0.1:{farm.port('AMQP')}/{farm['FARM_VHOST']}"
    said = [
        "--agent",
        lent.agent,
        "--owner",
        lent.owner,
        "--name",
        lent.name,
        "--amqp",
        broker,
        "--out",
        str(home / "agent.json"),
    ]
    words.say(farm, f"enrolment of {lent.agent}", words.ENROL, *said, *(["--house"] if lent.house else []))


def follow_the_broker(home: Path, farm: FarmFile) -> None:
    """Who the agent is stays, and where it finds the broker is said anew: in its credential, and in the next one if it is about
    to change its secret."""
    for file in (home / "agent.json", home / "agent.json.next"):
        try:
            said = json.loads(file.read_text())
            there = _at_the_broker(said["amqp_url"], farm)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is not there, or none; the agent itself says what is wrong with it
        if there != said["amqp_url"]:
            write_private(file, json.dumps({**said, "amqp_url": there}))


def _at_the_broker(url: str, farm: FarmFile) -> str:
    parts = urlsplit(url)
    who = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{who}@127.0.0.1:{farm.port('AMQP')}", path=f"/{farm['FARM_VHOST']}"))


def forget_former(layout: Layout) -> None:
    """When a farm starts no agent runs: Prometheus is told of each as it joins, and looks for no other."""
    for target in _targets(layout).glob("*.json"):
        target.unlink()


def _targets(layout: Layout) -> Path:
    return layout.data("prometheus") / "agents"


def release(farm: FarmFile, agent: str, reason: str) -> None:
    """Out of quarantine; it comes back by itself, under the secret it had."""
    words.say(farm, f"release of {agent}", words.ENROL, "release", "--agent", agent, "--reason", reason)


def part(layout: Layout, farm: FarmFile, lent: Lent) -> Part:
    """The agent as a program of this farm; Prometheus finds it by a file."""
    home = layout.data("agents") / lent.agent
    port = _port(layout, farm, lent)
    target = [{"targets": [f"127.0.0.1:{port}"], "labels": {"agent": lent.agent}}]
    (_targets(layout) / f"{lent.agent}.json").write_text(json.dumps(target))
    told = {
        "FRAMELEND_AGENT_FILE": str(home / "agent.json"),
        "FRAMELEND_AGENT_DIR": str(home),
        "FRAMELEND_AGENT_HTTP_PORT": str(port),
        "FRAMELEND_AGENT_IMAGE": farm["FARM_RENDER_IMAGE"],
        "FRAMELEND_AGENT_PRIORITY": "normal",
        "FRAMELEND_OTLP_URL": f"{farm.http('TRACEBOX')}/v1/traces",
        "DOCKER_HOST": farm["FARM_DOCKER_HOST"],
        **({"FRAMELEND_AGENT_CPUS": str(lent.cpus)} if lent.cpus else {}),
        **({"FRAMELEND_AGENT_GPU_IMAGE": image} if (image := farm.values.get("FARM_RENDER_GPU_IMAGE")) else {}),
    }
    name = f"agent-{lent.agent}"
    program = Program(name, (str(PYTHON), "-m", "agent.cli", "run"), told, priority=200, start_retries=1000, stop_seconds=30)
    address = f"http://127.0.0.1:{port}"
    return Part(program, lambda: readiness.http_ok(f"{address}/health"), address, seconds=120)


def _port(layout: Layout, farm: FarmFile, lent: Lent) -> int:
    """Chosen once per agent while the farm is up, and remembered in the farm's one file."""
    name = f"FARM_AGENT_{lent.agent.upper().replace('-', '_')}_PORT"
    values = farmfile.read(layout).values
    if name in values:
        return int(values[name])
    taken = {int(value) for key, value in values.items() if key.startswith("FARM_") and key.endswith("_PORT")}
    port = next_free(farm.port("INTAKE") + 20, taken)
    farmfile.remember(layout, **{name: str(port)})
    return port
