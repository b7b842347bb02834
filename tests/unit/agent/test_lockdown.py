"""The line Docker is told: every lock is on unless a test says otherwise, and an engine that cannot keep one is found out."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from agent.lockdown import Guards, lacking

AGENT = Path(__file__).resolve().parents[3] / "agent"
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
