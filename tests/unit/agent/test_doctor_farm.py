"""What the doctor finds of what is around the machine: the farm's clock, the broker's door, the engine's word about GPUs.

Stood in for by servers on loopback that speak as those do; the agent's own code is all real.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pamqp.frame
import pytest
from pamqp import commands
from pydantic import SecretStr

from agent import doctor
from agent.doctor import Finding
from agent.keyring import write
from agent.settings import AgentSettings, Credential

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def a_server(speak: Speak) -> AsyncIterator[int]:
    """Its port."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            """Whoever asked has heard enough."""
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


def http(answer: Callable[[str], tuple[int, Any]], off: timedelta = timedelta()) -> Speak:
    """One answer for each connection; its clock is `off` from ours."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        status, told = answer(path)
        body, date = json.dumps(told).encode(), format_datetime(datetime.now(UTC) + off, usegmt=True)
        head = f"HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return speak


async def a_broker_that_refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As RabbitMQ does: it greets, hears the name, and closes with 403."""
    await reader.readexactly(8)
    capable: dict[str, Any] = {"capabilities": {"authentication_failure_close": True}}
    writer.write(pamqp.frame.marshal(commands.Connection.Start(server_properties=capable, mechanisms="PLAIN"), 0))
    await reader.read(1 << 12)
    writer.write(pamqp.frame.marshal(commands.Connection.Close(403, "ACCESS_REFUSED - Login was refused", 0, 0), 0))
    await writer.drain()
    await reader.read(1 << 12)


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


async def found(folder: Path, *, farm: str | None = None, broker: int = 0, **changes: Any) -> dict[str, Finding]:
    url = f"amqp://ann:secret@127.0.0.1:{broker or a_free_port()}/farm"
    write(folder / "agent.json", Credential(agent="ann", amqp_url=SecretStr(url), farm=farm))
    told = {"agent_executor": "process", **changes}
    settings = AgentSettings(agent_file=folder / "agent.json", agent_dir=folder / "home", **told)
    return {one.what: one for one in await doctor.examined(settings)}


@pytest.mark.parametrize(
    ("hours", "is_good", "words"),
    [(0, True, "answers"), (1, False, "behind its own"), (-1, False, "ahead of its own")],
)
async def test_a_clock_that_is_off_is_found_before_the_first_chunk(tmp_path: Path, hours: int, is_good: bool, words: str) -> None:
    """By the farm's own door, which is known since enrolment; how it feels otherwise is nothing to the clock."""
    farm = http(lambda path: (503 if path == "/health" else 404, {}), timedelta(hours=hours))
    async with a_server(farm) as port:
        seen = (await found(tmp_path, farm=f"http://127.0.0.1:{port}"))["farm and clock"]
    assert (seen.ok, words in seen.text) == (is_good, True), seen
    assert "timedatectl set-ntp true" in seen.mend


async def test_a_farm_that_does_not_answer_is_named_with_what_this_clock_says(tmp_path: Path) -> None:
    farm = f"http://127.0.0.1:{a_free_port()}"
    seen = (await found(tmp_path, farm=farm))["farm and clock"]
    assert (seen.is_bad, farm in seen.text) == (True, True)
    assert f"{datetime.now(UTC):%Y-%m-%d}" in seen.mend


async def test_where_no_address_is_known_nothing_is_said_against_the_clock(tmp_path: Path) -> None:
    seen = await found(tmp_path)
    assert (seen["farm and clock"].ok, seen["store and clock"].ok) == (None, None)


async def test_a_broker_that_refuses_the_login_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    async with a_server(a_broker_that_refuses) as port:
        seen = (await found(tmp_path, broker=port))["broker"]
    assert (seen.is_bad, "refuses this machine" in seen.text) == (True, True), seen
    assert "enrol it again" in seen.mend
    away = (await found(tmp_path))["broker"]
    assert (away.is_bad, "cannot be reached" in away.text) == (True, True), away


ABLE = {"MemoryLimit": True, "SwapLimit": True, "CpuCfsQuota": True, "PidsLimit": True, "SecurityOptions": ["name=seccomp"]}
WITHOUT: dict[str, Any] = {"runc": {}}
WITH: dict[str, Any] = {"runc": {}, "nvidia": {}}


HERE, AWAY = "sha256:" + "b" * 64, "sha256:" + "c" * 64


@pytest.mark.parametrize(
    ("runtimes", "changes", "ok", "words"),
    [
        (WITH, {"agent_gpu_image": HERE}, True, "its render image is here"),
        (WITHOUT, {"agent_gpu_image": HERE}, False, "no nvidia runtime"),
        (WITH, {}, None, "it is not lent: no render image for it was agreed to"),
        (WITH, {"agent_gpu_image": AWAY}, False, "is not here"),
        (WITH, {"agent_gpu_image": HERE, "agent_gpus": ()}, None, "its owner lends none"),
    ],
)
async def test_a_gpu_is_of_use_only_where_docker_has_its_runtime_and_its_owner_lends_it_with_an_image_for_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runtimes: dict[str, Any],
    changes: dict[str, Any],
    ok: bool | None,
    words: str,
) -> None:
    script = tmp_path / "bin/nvidia-smi"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    async with a_server(http(lambda path: _engine(path, runtimes))) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        seen = await found(tmp_path, agent_executor="docker", agent_image="sha256:" + "a" * 64, **changes)
    assert (seen["GPU"].ok, words in seen["GPU"].text, bool(seen["GPU"].mend)) == (ok, True, ok is not True), seen["GPU"]
    assert runtimes is WITH or "nvidia-ctk runtime configure" in seen["GPU"].mend
    assert changes or "FRAMELEND_AGENT_GPU_IMAGE" in seen["GPU"].mend
    assert (seen["Docker"].ok, seen["limits"].ok, seen["render image"].ok, seen["container"].ok) == (True, True, False, None)


def _engine(path: str, runtimes: dict[str, Any]) -> tuple[int, Any]:
    if path.endswith("/version"):
        return 200, {"Version": "24.0.7", "ApiVersion": "1.43"}
    if path.endswith(f"{HERE}/json"):
        return 200, {"Id": HERE}
    return (200, {**ABLE, "Runtimes": runtimes}) if path.endswith("/info") else (404, {"message": "no such image"})
