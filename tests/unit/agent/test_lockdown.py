"""The line Docker is told: every lock is on unless a test says otherwise, and an engine that cannot keep one is found out."""

import ctypes
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
LOWEST = (19, True)
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


def its_priority(who: int) -> tuple[int, bool]:
    """Its nice, and through ioprio_get(2) whether it gets the disk only when nobody else wants it (class 3)."""
    return os.getpriority(os.PRIO_PROCESS, who), ctypes.CDLL(None).syscall(IOPRIO_GET[os.uname().machine], 1, who) >> 13 == 3


CHILD = """
import os, sys, time
from tests.unit.agent.test_lockdown import LOWEST, its_priority
end = time.monotonic() + float(sys.argv[1])
while its_priority(0) != LOWEST and time.monotonic() < end:
    time.sleep(0.05)
print([its_priority(who) for who in (0, os.getppid())])
"""


@pytest.mark.parametrize(("priority", "seconds"), [("lowest", 30.0), ("normal", 0.5)])
def test_the_warden_puts_its_child_behind_everybody_only_when_it_is_told_to_and_never_itself(
    priority: str, seconds: float
) -> None:
    words = [sys.executable, *WARDEN[1:], "60", priority, sys.executable, "-c", CHILD, str(seconds)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=AGENT.parent) as warden:
        assert warden.stdout is not None
        said = warden.stdout.readline().strip()
    ours = its_priority(0)
    assert said == str([LOWEST if priority == "lowest" else ours, ours])
