"""The Docker Engine: one per machine, shared by its farms, so that an image is built once.

An engine that answers is used as it is. Where none answers, one is started at the default socket and its users are
written down; the last farm to go stops it again. An engine that somebody else started is never stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from infra.local import supervision
from infra.local.failure import FarmError
from infra.local.infrastructure import tool
from infra.local.layout import Layout

DEFAULT_HOST = "unix:///var/run/docker.sock"
ENGINE_PID = Path("/var/run/docker.pid")
OURS = Path("/run" if os.geteuid() == 0 else tempfile.gettempdir()) / f"framelend-engine-{os.getuid()}"
"""Exists while an engine that we started runs: a file for each farm that uses it."""
NEEDS_ROOT = "run as root, or start it yourself: sudo dockerd --group $(id -gn)"


def host() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def docker(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    command = [tool("docker"), "-H", host(), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def answers() -> bool:
    return docker("version", "--format", "{{.Server.Version}}").returncode == 0


def ensure(layout: Layout) -> str:
    """An engine that answers, started if need be; what was done, for people."""
    if answers():
        note = f"{'shared with other farms' if OURS.exists() else 'already runs'}   {host()}"
    elif "DOCKER_HOST" in os.environ:
        raise FarmError("docker", f"nothing answers at DOCKER_HOST={host()}", advice="start it or unset DOCKER_HOST")
    else:
        note = f"ready after {_start(layout):4.1f} s   {host()}"
    if OURS.exists():
        _user_file(layout).write_text(str(layout.root))
    return note


def _as_root() -> list[str]:
    """The words before a command that root must run."""
    if os.geteuid() == 0:
        return []
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n"]
    raise FarmError("docker", "no engine answers, and starting or stopping one needs root", advice=NEEDS_ROOT)


def _start(layout: Layout) -> float:
    """Seconds until it answered."""
    ours = [] if os.geteuid() == 0 else ["--group", str(os.getgid())]
    command = [*_as_root(), tool("dockerd"), "--pidfile", str(ENGINE_PID), *ours]
    OURS.mkdir(mode=0o700, exist_ok=True)
    log, began = layout.log("dockerd"), time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    supervision.eventually(lambda: answers() or process.poll() is not None, 60)
    if not answers():
        raise FarmError("docker", "the engine did not start", log, "read the log's end; is another engine half alive?")
    return time.monotonic() - began


def _user_file(layout: Layout) -> Path:
    return OURS / f"user-{hashlib.sha256(os.fsencode(layout.root)).hexdigest()}"


def release(layout: Layout) -> str:
    """Remove this farm's containers; stop the engine if we started it and no other farm uses it."""
    removed = remove_containers(layout) if answers() else 0
    note = f"{removed} containers removed"
    if not OURS.exists():
        return note
    _user_file(layout).unlink(missing_ok=True)
    if any(_alive(user) for user in OURS.glob("user-*")):
        return f"{note}, engine still used by another farm"
    _stop()
    return f"{note}, engine stopped"


def remove_containers(layout: Layout) -> int:
    """A farm's containers are those that see a folder of the farm, whoever made them and whatever they are called."""
    found = [container["Id"] for container in _containers() if _sees(container, layout.root)]
    if found:
        docker("rm", "-f", "-v", *found)
    return len(found)


def _containers() -> list[dict[str, Any]]:
    every = docker("ps", "-aq").stdout.split()
    # One that goes meanwhile makes inspect fail, but it still tells of the others.
    return cast("list[dict[str, Any]]", json.loads(docker("inspect", *every).stdout)) if every else []


def _sees(container: dict[str, Any], folder: Path) -> bool:
    return any(Path(mount["Source"]).is_relative_to(folder) for mount in container["Mounts"] if mount["Type"] == "bind")


def _alive(user: Path) -> bool:
    return supervision.pid(Layout(Path(user.read_text()))) is not None


def _stop() -> None:
    try:
        engine = int(ENGINE_PID.read_text())
    except (OSError, ValueError):
        engine = 0
    if engine and b"dockerd" in supervision.command_line(engine):
        subprocess.run([*_as_root(), "kill", str(engine)], check=True)
        supervision.eventually(lambda: not supervision.command_line(engine), 60)
    for leftover in OURS.iterdir():
        leftover.unlink()
    OURS.rmdir()
