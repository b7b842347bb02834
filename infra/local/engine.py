"""The Docker Engine: one per machine, shared by its farms, so that an image is built once.

An engine that answers is used as it is. Where none answers, one is started at the default socket and its users are
written down; the last farm to go stops it again. An engine that somebody else started is never stopped.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from infra.local import supervision
from infra.local.failure import FarmError
from infra.local.infrastructure import tool
from infra.local.layout import Layout

DEFAULT_HOST = "unix:///var/run/docker.sock"
OURS = Path("/run/framelend-engine")
"""Exists while an engine that we started runs: its pid file, its log, and a file for each farm that uses it."""
FARM_LABEL = "framelend.farm"
NEEDS_ROOT = "run as root, or add yourself to the group docker and start the engine: sudo dockerd"


def host() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def docker(*words: str, at: str | None = None, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    command = [tool("docker"), "-H", at or host(), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def answers(at: str | None = None) -> bool:
    return docker("version", "--format", "{{.Server.Version}}", at=at).returncode == 0


def ensure(layout: Layout) -> str:
    """An engine that answers, started if need be; what was done, for people."""
    if answers():
        note = "already runs" if not OURS.exists() else "shared with another farm"
    elif "DOCKER_HOST" in os.environ:
        raise FarmError("docker", f"nothing answers at DOCKER_HOST={host()}", advice="start it or unset DOCKER_HOST")
    else:
        note = f"started, ready after {_start():.1f} s"
    if OURS.exists():
        _user_file(layout).write_text(str(layout.root))
    return note


def _start() -> float:
    if os.geteuid() != 0:
        raise FarmError("docker", "no engine answers and starting one needs root", advice=NEEDS_ROOT)
    OURS.mkdir(exist_ok=True)
    log = OURS / "dockerd.log"
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [tool("dockerd"), "--pidfile", str(OURS / "pid")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    if not supervision.eventually(lambda: answers() or process.poll() is not None, 60) or not answers():
        process.terminate()
        raise FarmError("docker", "the engine did not start", log, "read the log's end; is another engine half alive?")
    return time.monotonic() - began


def _user_file(layout: Layout) -> Path:
    return OURS / f"user-{os.fsencode(layout.root).hex()[-64:]}"


def release(layout: Layout, farm_id: str) -> str:
    """Remove this farm's containers; stop the engine if we started it and no other farm uses it."""
    removed = remove_containers(farm_id) if farm_id and answers() else 0
    if not OURS.exists():
        return f"{removed} containers removed"
    _user_file(layout).unlink(missing_ok=True)
    if any(_alive(user) for user in OURS.glob("user-*")):
        return f"{removed} containers removed, engine still used by another farm"
    _stop()
    return f"{removed} containers removed, engine stopped"


def remove_containers(farm_id: str) -> int:
    found = docker("ps", "-aq", "--filter", f"label={FARM_LABEL}={farm_id}").stdout.split()
    if found:
        docker("rm", "-f", *found)
    return len(found)


def _alive(user: Path) -> bool:
    return supervision.pid(Layout(Path(user.read_text()))) is not None


def _stop() -> None:
    try:
        engine = int((OURS / "pid").read_text())
    except (OSError, ValueError):
        engine = 0
    if engine and b"dockerd" in supervision.command_line(engine):
        os.kill(engine, 15)
        supervision.eventually(lambda: not supervision.command_line(engine), 30)
    for leftover in OURS.iterdir():
        leftover.unlink()
    OURS.rmdir()
