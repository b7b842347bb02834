"""Runs the render image locked down, from here: for sample scenes, comparisons with a direct render, and tests.

The options are the ones of `render/PROTOCOL.md`; the agent has its own copy because it knows nothing of infra.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from infra.local.engine import host

UID = 10001
LOCKS = (
    "--init --read-only --tmpfs /tmp:rw,noexec,nosuid,nodev,size=256m,mode=1777 --cap-drop ALL "
    f"--security-opt no-new-privileges --user {UID}:{UID} --ulimit nofile=1024 --ulimit core=0"
).split()
DRIVER = ("python3", "/opt/framelend/driver.py")
SURVEY = ("python3", "/opt/framelend/survey.py")


def run_locked(
    image: str,
    inside: Path,
    out: Path,
    *command: str,
    memory: str = "2g",
    file_bytes: int = 2 << 30,
    network: str = "none",
    name: str | None = None,
    seconds: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Runs `command` with `inside` at /in (read-only) and `out` at /out; the container is gone afterwards."""
    open_to_container(out)
    limits = ["--pids-limit", str(4 * (os.cpu_count() or 1) + 64), "--memory", memory, "--memory-swap", memory]
    limits += ["--ulimit", f"fsize={file_bytes}", "-v", f"{inside.resolve()}:/in:ro", "-v", f"{out.resolve()}:/out:rw"]
    named = ["--name", name] if name else []
    words = ["docker", "-H", host(), "run", "--rm", *named, *LOCKS, "--network", network, *limits, image, *command]
    return subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)


def open_to_container(out: Path) -> None:
    """Makes the folder and lets the container's user write there."""
    out.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(out, UID, UID)
    else:
        out.chmod(0o777)
