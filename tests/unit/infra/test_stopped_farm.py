"""The operator's commands where no farm runs, or only part of one: a sentence that says what to do."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.local import farmfile
from infra.local.__main__ import app
from infra.local.failure import FarmError
from infra.local.layout import CHECKOUT, PYTHON, Layout

COMMANDS = [
    "topology",
    "lend ann --owner a-1",
    "release house",
    "add x -- /bin/true",
    "remove x",
    "quotes",
    "letters",
    *(f"dead {word}" for word in ("list storage", "show storage all", "replay storage all", "drop storage all")),
]


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A farm that ran once and was stopped."""
    made = Layout(tmp_path / "farm")
    made.make()
    farmfile.prepare(made, "unix:///x")
    monkeypatch.setenv("FARM_DIR", str(made.root))
    return made


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_that_needs_the_farm_says_that_none_runs(layout: Layout, words: str) -> None:
    before = sorted(layout.root.rglob("*"))
    done = CliRunner().invoke(app, words.split())
    assert isinstance(done.exception, FarmError), done.exc_info
    assert "no farm runs in" in str(done.exception)
    assert "make up" in done.exception.advice
    assert sorted(layout.root.rglob("*")) == before, "nothing is left of the attempt"


@pytest.fixture
def without_a_broker(layout: Layout) -> Iterator[Layout]:
    """Something that looks like its supervisor, and a port where nobody listens."""
    words = [sys.executable, "-c", "input()", str(layout.supervisor_config)]
    with socket.socket() as closed, subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as supervisor:
        closed.bind(("127.0.0.1", 0))
        farmfile.remember(layout, FARM_AMQP_PORT=str(closed.getsockname()[1]))
        layout.supervisor_pid.write_text(str(supervisor.pid))
        yield layout


def test_a_part_that_does_not_answer_is_told_without_the_insides(without_a_broker: Layout) -> None:
    words = [str(PYTHON), "-m", "infra.local", "dead", "list", "storage"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "farm: a part of it does not answer" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("target", ["status", "logs"])
def test_before_anything_is_installed_make_says_what_to_do(tmp_path: Path, target: str) -> None:
    told = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    words = ["make", "-f", str(CHECKOUT / "Makefile"), target]
    done = subprocess.run(words, cwd=tmp_path, env=told, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "make setup" in done.stderr
    assert "No such file" not in done.stderr
