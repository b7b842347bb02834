"""A program of the farm, and how supervisor is told about it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.layout import CHECKOUT, PYTHON, Layout

OWNER_MARK = "FARM_PROCESS_OF"
"""Environment variable that every process of a farm carries: it finds what a killed supervisor left behind."""
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What the supervisor keeps of its caller's variables; a program sees these and what its own definition says."""
LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Program:
    """One process under the supervisor. Lower priorities start first and stop last."""

    name: str
    command: tuple[str, ...]
    """The first word is the program's whole path."""
    environment: Mapping[str, str] = field(default_factory=dict)
    priority: int = 500
    directory: Path = CHECKOUT
    start_seconds: int = 1
    start_retries: int = 3
    stop_seconds: int = 20
    stop_group: bool = False
    """Send the stop signal to its whole process group, for programs that do not pass it on."""


def kept_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}


def specification(program: Program) -> str:
    """What ``launch.py`` reads; it holds secrets, so its file is private."""
    told = {
        "command": program.command,
        "directory": str(program.directory),
        "environment": dict(program.environment),
    }
    return json.dumps(told, indent=1, sort_keys=True)


def section(program: Program, layout: Layout) -> str:
    """The supervisor section of a program."""
    words = (str(PYTHON), "-I", "-S", str(LAUNCH), str(layout.programs / f"{program.name}.json"))
    settings = {
        "command": " ".join(f'"{word}"' for word in words),
        "priority": program.priority,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": program.start_seconds,
        "startretries": program.start_retries,
        "stopsignal": "TERM",
        "stopwaitsecs": program.stop_seconds,
        "stopasgroup": str(program.stop_group).lower(),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": layout.log(program.name),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": 2,
    }
    lines = (f"{name}={str(value).replace('%', '%%')}\n" for name, value in settings.items())
    return f"[program:{program.name}]\n" + "".join(lines)
