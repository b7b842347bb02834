"""What the lender's machine looked like while a container ran: evidence for a verdict, never a reason to stop anything."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.domain.evidence import Host, Room

PROC = Path("/proc")
KIB = 1 << 10


class Look:
    """Made when the container starts. `disk`: a folder on the disk that pictures are kept on."""

    def __init__(self, disk: Path, proc: Path = PROC) -> None:
        self._disk, self._proc = disk, proc
        self._kills = _number(proc / "vmstat", "oom_kill")
        self._least: int | None = None
        self.memory()

    def memory(self) -> None:
        """Cheap enough for twice a second."""
        available = _number(self._proc / "meminfo", "MemAvailable:")
        if available is not None:
            self._least = min(available * KIB, available * KIB if self._least is None else self._least)

    def facts(self) -> Host:
        """As it stands now, and what was seen since the start."""
        self.memory()
        kills = _number(self._proc / "vmstat", "oom_kill")
        free = None
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(self._disk).free
        return Host(
            free_disk_bytes=free,
            least_memory_bytes=self._least,
            kills=0 if kills is None or self._kills is None else max(0, kills - self._kills),
        )


def room(stats: Mapping[str, Any], proc: Path = PROC) -> Room | None:
    """From an answer of Docker's `stats` and the kernel's own count; None where one of them does not tell."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        words, ticks = (proc / "stat").read_text(encoding="ascii").split(maxsplit=6), os.sysconf("SC_CLK_TCK")
        held_back = stats["cpu_stats"]["throttling_data"]["throttled_time"]
        return Room(int(words[4]) / ticks, held_back / 1e9 + int(words[5]) / ticks)
    return None


def _number(file: Path, name: str) -> int | None:
    """From lines of `name number`; None where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in file.read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return None
