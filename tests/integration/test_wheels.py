"""Both of our wheels installed as a stranger would, outside of the checkout: nothing they need is missing in them."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from infra.images import wheels
from infra.local.layout import CHECKOUT


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has our two wheels; what they depend on is lent by this one, without ourselves: a
    path in a .pth file brings no other .pth files, and we are only there through one."""
    home = tmp_path_factory.mktemp("stranger")
    with wheels.alone():
        wheels.build_ours(home / "wheels")
    shutil.copytree(CHECKOUT / "client", home / "client", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    words = ("wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(home / "wheels"), str(home / "client"))
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *words], check=True)
    venv.create(home / "env", with_pip=False)
    python, found = home / "env/bin/python", [str(path) for path in (home / "wheels").glob("*.whl")]
    assert len(found) == 2
    subprocess.run(
        [sys.executable, "-m", "uv", "-q", "pip", "install", "--offline", "--no-deps", "--python", python, *found], check=True
    )
    (next((home / "env/lib").glob("python3*")) / "site-packages/lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "env/bin"


def says(programs: Path, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(programs), "LANG": "C.UTF-8"}
    done = subprocess.run([programs / words[0], *words[1:]], cwd=programs, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_installed_is_the_wheels_and_not_the_checkout(programs: Path) -> None:
    told = says(
        programs, "python", "-c", "import agent, contracts, framelend, services as s; print(agent.__file__, framelend.__file__)"
    )
    assert all(path.startswith(str(programs.parent)) for path in told.split())


@pytest.mark.parametrize("command", ["submit", "quote", "watch", "download", "agents", "offers", "ops"])
def test_the_renters_command_is_whole(programs: Path, command: str) -> None:
    assert "Usage: framelend" in says(programs, "framelend", command, "--help")


@pytest.mark.parametrize("command", ["enrol", "run", "doctor", "status", "rotate"])
def test_the_agents_command_is_whole(programs: Path, command: str) -> None:
    assert "Usage: framelend-agent" in says(programs, "framelend-agent", command, "--help")


def test_the_agent_brings_its_example_of_settings(programs: Path) -> None:
    assert "by_hand" in says(programs, "framelend-agent", "example-settings")


def test_the_services_bring_their_pages(programs: Path) -> None:
    look = "import services.intake as s, pathlib; print(*(p.suffix for p in pathlib.Path(s.__file__).parent.rglob('*')))"
    suffixes = says(programs, "python", "-c", look).split()
    assert {".js", ".css", ".html"} <= set(suffixes)
