"""The supervisor of one farm: launched, spoken to over its socket, ended. Uses PyPI's ``supervisor``."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
import xmlrpc.client
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import Faults, SupervisorTransport

from infra.local.failure import FarmError
from infra.local.layout import PYTHON, Layout, write_private
from infra.local.programs import OWNER_MARK, Program, kept_environment, section, specification

MOST_FILES = 65536
TIERS = (range(0, 20), range(20, 100), range(100, 1000))
"""Priorities that stop together: the name server, what our services stand on, our services and agents."""
STILL_THERE = {"RUNNING", "STARTING", "STOPPING", "BACKOFF"}

CONFIG = """\
[supervisord]
identifier={identifier}
pidfile={pidfile}
logfile={logfile}
logfile_maxbytes=5MB
logfile_backups=1
childlogdir={logs}
directory={root}
minfds={files}
nocleanup=true
{user}
[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}

[include]
files={programs}/*.ini
"""


def config(layout: Layout, farm_id: str) -> str:
    soft_limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], MOST_FILES)
    return CONFIG.format(
        identifier=f"framelend-{farm_id}",
        pidfile=layout.supervisor_pid,
        logfile=layout.log("supervisor"),
        logs=layout.logs,
        root=layout.root,
        files=soft_limit,
        user="user=root\n" if os.geteuid() == 0 else "",
        socket=layout.socket,
        programs=layout.programs,
    )


def pid(layout: Layout) -> int | None:
    """The supervisor's process id while it runs."""
    try:
        found = int(layout.supervisor_pid.read_text())
    except (OSError, ValueError):
        return None
    return found if os.fsencode(layout.supervisor_config) in command_line(found) else None


def needed(layout: Layout) -> Layout:
    """The same, where a farm runs. Raises FarmError elsewhere, before anything is asked of its parts."""
    if pid(layout) is None:
        raise FarmError("farm", f"no farm runs in {layout.root}", advice="start one with `make up`")
    return layout


def command_line(process: int) -> bytes:
    """Empty when there is no such process or it only waits to be reaped."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def call(layout: Layout, method: str, *words: object) -> Any:
    """One call of supervisor's XML-RPC interface; methods are named as in its manual."""
    transport = SupervisorTransport(None, None, serverurl=f"unix://{layout.socket}")
    try:
        return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(*words)
    finally:
        transport.close()


def answers(layout: Layout) -> bool:
    try:
        return bool(call(layout, "getState")["statename"] == "RUNNING")
    except (OSError, xmlrpc.client.Error):
        return False


def launch(layout: Layout, farm_id: str) -> None:
    """Start the supervisor in the background with no programs yet."""
    for old in layout.programs.iterdir():
        old.unlink()
    write_private(layout.supervisor_config, config(layout, farm_id))
    environment = {**kept_environment(), OWNER_MARK: farm_id}
    command = [str(PYTHON), "-m", "supervisor.supervisord", "-c", str(layout.supervisor_config)]
    done = subprocess.run(command, env=environment, cwd=layout.root, capture_output=True, text=True, check=False)
    if done.returncode or not eventually(lambda: answers(layout), 10):
        raise FarmError("supervisor", done.stderr.strip() or "did not start", layout.log("supervisor"))


def eventually(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until ``true()``; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def add_program(layout: Layout, program: Program) -> None:
    """Tell the running supervisor about a program, or about its new definition; it does not start it."""
    files = {"json": specification(program), "ini": section(program, layout)}
    paths = {layout.programs / f"{program.name}.{ending}": text for ending, text in files.items()}
    known = program.name in states(layout)
    if known and all(path.exists() and path.read_text() == text for path, text in paths.items()):
        return
    if known:
        remove_program(layout, program.name)
    for path, text in paths.items():
        write_private(path, text)
    call(layout, "reloadConfig")
    call(layout, "addProcessGroup", program.name)


def remove_program(layout: Layout, name: str) -> None:
    """Stop a program and forget it."""
    stop(layout, name)
    for ending in ("ini", "json"):
        (layout.programs / f"{name}.{ending}").unlink(missing_ok=True)
    call(layout, "reloadConfig")
    _unless(Faults.BAD_NAME, partial(call, layout, "removeProcessGroup", name))


def start(layout: Layout, name: str) -> None:
    """Ask for a program to run; whether it is ready is another question."""
    _unless(Faults.ALREADY_STARTED, partial(call, layout, "startProcess", name, False))


def stop(layout: Layout, name: str) -> None:
    """Stop a program and wait until it is gone (SIGKILL after its stop time)."""
    _unless(Faults.NOT_RUNNING, partial(call, layout, "stopProcess", name, True))


def restart(layout: Layout, name: str) -> None:
    stop(layout, name)
    start(layout, name)


def kill(layout: Layout, name: str) -> int:
    """kill -9 the program's whole process group, as a power cut would; the supervisor starts it again. Its old pid."""
    victim = process_id(layout, name)
    if victim is None:
        raise FarmError(name, "does not run, so it cannot be killed", layout.log(name))
    os.killpg(victim, signal.SIGKILL)
    return victim


def process_id(layout: Layout, name: str) -> int | None:
    return int(call(layout, "getProcessInfo", name)["pid"]) or None


def states(layout: Layout) -> dict[str, dict[str, Any]]:
    """Program → what supervisor knows of it, in the order they start."""
    if pid(layout) is None:
        return {}
    found = cast("list[dict[str, Any]]", call(layout, "getAllProcessInfo"))
    return {info["name"]: info for info in found}


def shutdown(layout: Layout) -> None:
    """Stop all programs, those that start last first and neighbours in one go, then the supervisor itself."""
    running = pid(layout)
    if running is None:
        return
    try:
        for tier in reversed(TIERS):
            _stop_together(layout, tier)
        call(layout, "shutdown")
    except (OSError, xmlrpc.client.Error):
        os.kill(running, signal.SIGTERM)
    if not eventually(lambda: not command_line(running), 60):
        raise FarmError("supervisor", f"process {running} does not end", layout.log("supervisor"))


def _stop_together(layout: Layout, tier: range) -> None:
    names = [info["name"] for info in call(layout, "getAllConfigInfo") if info["process_prio"] in tier]
    for name in names:
        _unless(Faults.NOT_RUNNING, partial(call, layout, "stopProcess", name, False))
    eventually(lambda: all(states(layout)[name]["statename"] not in STILL_THERE for name in names), 60)


def _unless(fault: int, call: Callable[[], object]) -> None:
    """Make the call; the named fault means that what we want is so already."""
    try:
        call()
    except xmlrpc.client.Fault as problem:
        if problem.faultCode != fault:
            raise
