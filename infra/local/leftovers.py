"""Finds the processes of a farm by the mark in their environment, whoever their parent is now."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from infra.local import supervision
from infra.local.programs import OWNER_MARK


def processes_of(farm_id: str) -> list[int]:
    """Process ids that carry this farm's mark; those of other users cannot be seen."""
    mark = f"{OWNER_MARK}={farm_id}".encode()
    return [process for process in _all_processes() if mark in _environment(process)]


def end(farm_id: str, seconds: float = 10) -> list[int]:
    """End what is left of a farm, by SIGTERM, then SIGKILL; the ids that it found."""
    found = processes_of(farm_id)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in processes_of(farm_id):
            _send(process, how)
        if supervision.eventually(lambda: not processes_of(farm_id), seconds):
            break
    return found


def _all_processes() -> list[int]:
    own = os.getpid()
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != own]


def _environment(process: int) -> list[bytes]:
    """Empty for a process that is gone, is nobody's to read, or only waits to be reaped."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _send(process: int, how: signal.Signals) -> None:
    try:
        os.kill(process, how)
    except ProcessLookupError:
        return
