"""A wrong folder, file or port is said in one line that names the setting, before the broker is asked: nobody reads a trace."""

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from agent.cli import app
from agent.commands import UNUSABLE
from agent.control import NotRunning, ask
from agent.keyring import write
from agent.lender import UnusableSettings
from agent.opening import named, premises
from agent.settings import AgentSettings, Credential
from agent.status import lines
from agent.workplace import Folders
from tests.waiting import until

NOWHERE = "/dev/null/below"
"""Not even root can make it."""
AWAY = Credential(agent="ann", amqp_url=SecretStr("amqp://ann:secret@127.0.0.1:1/farm"))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield int(held.getsockname()[1])


RUNS = """
import json, sys
from typer.testing import CliRunner
from agent.cli import app
for env in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, ["run"], env=env)
    print(json.dumps([done.exit_code, done.stderr]), flush=True)
"""
"""In a process of its own, since a run sets up the logs of its process."""


def ran(*machines: dict[str, str]) -> list[tuple[int, str]]:
    """Exit code and what was said, of `framelend-agent run` on each of these, whose broker is away: it would wait for ever."""
    words = (sys.executable, "-c", RUNS, json.dumps(machines))
    done = subprocess.run(words, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, said) for code, said in map(json.loads, done.stdout.splitlines())]


def a_machine(folder: Path, **changes: str) -> dict[str, str]:
    write(folder / "agent.json", AWAY)
    return {"FRAMELEND_AGENT_FILE": str(folder / "agent.json"), "FRAMELEND_AGENT_DIR": str(folder / "home"), **changes}


def test_what_cannot_be_used_ends_the_agent_as_unusable_before_it_looks_for_the_broker(tmp_path: Path, taken: int) -> None:
    (tmp_path / "broken/home").mkdir(parents=True)
    (tmp_path / "broken/home/journal.db").write_bytes(b"no journal" * 1_000)
    folder, port, journal, executor = ran(
        a_machine(tmp_path / "one", FRAMELEND_AGENT_DIR=NOWHERE),
        a_machine(tmp_path / "two", FRAMELEND_AGENT_HTTP_PORT=str(taken)),
        a_machine(tmp_path / "broken"),
        a_machine(tmp_path / "four", FRAMELEND_AGENT_EXECUTOR="process"),
    )
    assert folder == (UNUSABLE, f"FRAMELEND_AGENT_DIR: {NOWHERE} cannot be used: Not a directory\n")
    assert port == (UNUSABLE, f"FRAMELEND_AGENT_HTTP_PORT: {taken} cannot be used: Address already in use\n")
    assert (journal[0], "journal.db cannot be read" in journal[1], journal[1].count("\n")) == (UNUSABLE, True, 1)
    assert executor[0] == UNUSABLE
    assert executor[1].startswith("executor = process needs")


async def test_the_port_it_took_is_told_to_its_owner_while_it_still_waits_for_the_broker(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    words = (sys.executable, "-m", "agent.cli", "run")
    env = {"PATH": os.environ["PATH"], **a_machine(tmp_path)}
    process = await asyncio.create_subprocess_exec(*words, env=env, stdout=asyncio.subprocess.DEVNULL)
    try:
        told = await until(lambda: answered(folder), "the agent answers its owner", 60)
        async with httpx.AsyncClient(trust_env=False) as http:
            assert "framelend_agent_ready" in (await http.get(told["metrics"])).text
            assert (await http.get(told["health"])).json()["service"] == "agent"
        assert any(told["metrics"] in line for line in lines(told))
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_terminal_that_is_closed_ends_it_as_an_order_does(tmp_path: Path) -> None:
    """What it says then goes to a terminal that is gone, and breaks nothing off."""
    mine, its = os.openpty()
    env = {"PATH": os.environ["PATH"], **a_machine(tmp_path)}
    words = ("env", "--default-signal=HUP", sys.executable, "-m", "agent.cli", "run")  # should nohup have begun these tests
    process = await asyncio.create_subprocess_exec(*words, env=env, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    try:
        await until(lambda: answered(tmp_path / "home"), "the agent answers its owner", 60)
        os.close(mine)
        process.send_signal(signal.SIGHUP)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()


def answered(folder: Path) -> dict[str, Any]:
    try:
        return ask(folder, {"order": "status"})
    except NotRunning:
        return {}


def test_a_full_disk_is_no_mistake_in_the_settings() -> None:
    """The agent is started again and finds room some day; what is its owner's to mend is the control."""
    with pytest.raises(OSError, match="No space left"), named("FRAMELEND_AGENT_DIR", "home"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    denied = pytest.raises(UnusableSettings, match="FRAMELEND_AGENT_DIR: home cannot be used: Permission denied")
    with denied, named("FRAMELEND_AGENT_DIR", "home"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


async def test_a_machine_in_order_has_its_journal_and_its_engine_and_gives_both_back(tmp_path: Path) -> None:
    settings = AgentSettings(agent_file=tmp_path / "agent.json", agent_dir=tmp_path)
    async with premises(settings, AWAY, Folders(tmp_path)) as own:
        home = own.journal.home()
    async with premises(settings, AWAY, Folders(tmp_path)) as own:
        assert own.journal.home() == home


def test_what_a_former_version_was_downloading_does_not_stay_for_good(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "attempt-1").write_bytes(bytes(100))
    Folders(tmp_path).clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spool", "work"]


@pytest.mark.parametrize("command", [["enrol", "CODE", "--farm", "http://127.0.0.1:1"], ["rotate"]])
def test_a_credential_that_cannot_be_kept_is_said_in_a_line(tmp_path: Path, command: list[str]) -> None:
    env = {"FRAMELEND_AGENT_FILE": f"{NOWHERE}/agent.json", "FRAMELEND_AGENT_DIR": str(tmp_path)}
    done = CliRunner().invoke(app, command, env=env)
    assert (done.exit_code, NOWHERE in done.output, "Not a directory" in done.output) == (UNUSABLE, True, True), done.output


@pytest.mark.parametrize(("said", "code"), [("loud", UNUSABLE), ("debug", 1), ("WARNING", 1), ("warn", 1), ("FATAL", 1)])
def test_a_level_of_the_log_that_there_is_not_is_named(tmp_path: Path, said: str, code: int) -> None:
    """1: it is usable, and no agent runs here whose status could be told."""
    done = CliRunner().invoke(app, ["status"], env={"FRAMELEND_LOG_LEVEL": said, "FRAMELEND_AGENT_DIR": str(tmp_path)})
    assert (done.exit_code, "FRAMELEND_LOG_LEVEL" in done.output) == (code, code == UNUSABLE), done.output


@pytest.mark.parametrize(("said", "meant"), [("WARN", "WARNING"), ("fatal", "CRITICAL"), ("NOTSET", "DEBUG"), ("Error", "ERROR")])
def test_every_name_of_a_level_that_pythons_logging_knows_is_one(monkeypatch: pytest.MonkeyPatch, said: str, meant: str) -> None:
    monkeypatch.setenv("FRAMELEND_LOG_LEVEL", said)
    assert AgentSettings().log_level == meant
