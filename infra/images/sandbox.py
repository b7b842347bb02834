"""Runs the render image locked down, from here: for sample scenes, comparisons with a direct render, and tests.

The options are the ones of `render/PROTOCOL.md`, but for /out, which is a folder of ours here: what else a scene writes can be
looked at. The agent has its own copy because it knows nothing of infra.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TypedDict, Unpack

from infra.local.engine import host

UID = 10001
LOCKS = (
    "--init --read-only --tmpfs /tmp:rw,noexec,nosuid,nodev,size=256m,mode=1777 --cap-drop ALL "
    f"--security-opt no-new-privileges --user {UID}:{UID} --ulimit nofile=1024 --ulimit core=0"
).split()
DRIVER = ("python3", "/opt/framelend/driver.py")
SURVEY = ("python3", "/opt/framelend/survey.py")


class Limits(TypedDict, total=False):
    """`memory` as Docker writes it; at most `file_bytes` in one file; nothing but `network`; a `name` for who asks after it."""

    memory: str
    file_bytes: int
    network: str
    name: str | None


def run_locked(
    image: str, inside: Path, out: Path, *command: str, seconds: float = 600, **limits: Unpack[Limits]
) -> subprocess.CompletedProcess[str]:
    """Runs `command` with `inside` at /in (read-only) and `out` at /out; the container is gone afterwards.

    Pictures handed over on stdout are put into `out`; in the stdout that is returned only lines are left.
    """
    words = locked(image, inside, out, *command, **limits)
    done = subprocess.run(words, capture_output=True, timeout=seconds, check=False)
    lines = _without_pictures(done.stdout, out)
    said, noise = (part.decode(errors="replace") for part in (lines, done.stderr))
    return subprocess.CompletedProcess(words, done.returncode, said, noise)


def locked(
    image: str,
    inside: Path,
    out: Path,
    *command: str,
    memory: str = "2g",
    file_bytes: int = 2 << 30,
    network: str = "none",
    name: str | None = None,
) -> list[str]:
    """The words of `run_locked`, for who listens while it runs."""
    open_to_container(out)
    limits = ["--pids-limit", str(4 * (os.cpu_count() or 1) + 64), "--memory", memory, "--memory-swap", memory]
    limits += ["--ulimit", f"fsize={file_bytes}", "-v", f"{inside.resolve()}:/in:ro", "-v", f"{out.resolve()}:/out:rw"]
    named = ["--name", name] if name else []
    return ["docker", "-H", host(), "run", "--rm", *named, *LOCKS, "--network", network, *limits, image, *command]


def _without_pictures(stdout: bytes, out: Path) -> bytes:
    lines, at = [], 0
    while at < len(stdout):
        end = stdout.find(b"\n", at) + 1 or len(stdout)
        line = stdout[at:end]
        lines.append(line)
        at = end
        if line.startswith(b'{"event": "frame"'):
            frame = json.loads(line)
            at += frame["bytes"]
            (out / Path(frame["path"]).name).write_bytes(stdout[end:at])
    return b"".join(lines)


def open_to_container(out: Path) -> None:
    """Makes the folder and lets the container's user write there."""
    out.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(out, UID, UID)
    else:
        out.chmod(0o777)
