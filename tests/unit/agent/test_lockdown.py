"""The line Docker is told: every lock is on unless a test says otherwise, and an engine that cannot keep one is found out."""

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from agent.container import WARDEN
from agent.lockdown import Guards, Spec, host_config, lacking

AGENT = Path(__file__).resolve().parents[3] / "agent"
IOPRIO_GET = {"x86_64": 252, "aarch64": 31}
ABLE: dict[str, Any] = {
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "SecurityOptions": ["name=seccomp,profile=default"],
}


def test_every_lock_is_on() -> None:
    assert all(dataclasses.asdict(Guards()).values())


def test_nothing_in_the_agent_turns_one_off() -> None:
    made = {path.name: re.findall(r"Guards\(([^)]*)\)", path.read_text()) for path in AGENT.rglob("*.py")}
    assert sum(map(len, made.values())) >= 2
    assert all(arguments == "" for found in made.values() for arguments in found), made


def test_an_engine_that_keeps_every_lock_lacks_nothing() -> None:
    assert lacking(ABLE) == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"MemoryLimit": False}, "memory"),
        ({"SwapLimit": False}, "swap"),
        ({"CpuCfsQuota": False}, "cores"),
        ({"PidsLimit": False}, "processes"),
        ({"SecurityOptions": []}, "seccomp"),
        ({"SecurityOptions": None}, "seccomp"),
        ({"SecurityOptions": ["name=seccomp,profile=unconfined"]}, "seccomp"),
    ],
)
def test_what_an_engine_cannot_keep_is_named(changes: dict[str, Any], word: str) -> None:
    (missing,) = lacking({**ABLE, **changes})
    assert word in missing


@pytest.fixture
def api() -> Iterator[docker.APIClient]:
    """It makes Docker's words without asking Docker."""
    client = docker.APIClient(base_url="tcp://127.0.0.1:1", version="1.41")
    yield client
    client.close()


@pytest.mark.parametrize(("lowest", "shares", "disk"), [(True, 2, 10), (False, None, None)])
def test_at_the_lowest_priority_docker_is_told_the_least_shares_it_takes(
    api: docker.APIClient, lowest: bool, shares: int | None, disk: int | None
) -> None:
    told = host_config(api, Spec("image", ("true",), "agent-1", "attempt-1", 2.0, 1 << 30, lowest=lowest), Guards())
    assert (told.get("CpuShares"), told.get("BlkioWeight")) == (shares, disk)


@pytest.mark.parametrize("priority", ["lowest", "normal"])
def test_the_warden_puts_its_child_behind_everybody_only_when_it_is_told_to_and_never_itself(priority: str) -> None:
    """Through ioprio_get(2): the class of a process that gets the disk only when nobody else wants it is 3."""
    look = f"ctypes.CDLL(None).syscall({IOPRIO_GET[os.uname().machine]}, 1, who) >> 13 == 3"
    seen = f"import ctypes, os, time; time.sleep(0.5); print([(os.getpriority(0, who), {look}) for who in (0, os.getppid())])"
    words = [sys.executable, *WARDEN[1:], "60", priority, sys.executable, "-c", seen]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as warden:
        assert warden.stdout is not None
        said = warden.stdout.readline().strip()
    ours = (os.getpriority(os.PRIO_PROCESS, 0), False)
    assert said == str([(19, True) if priority == "lowest" else ours, ours])
