"""What ends a container when nobody is left to end it: each with the guard off, when it goes on."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from agent.container import Engine, Running
from agent.lockdown import LOWEST, Spec
from agent.warden import ABANDONED, OVERDUE
from tests.integration.agent.stage import Stage

AN_AGENT = """
import asyncio, json, sys
from agent.container import Engine
from agent.lockdown import Guards, Spec
async def hold():
    given = json.loads(sys.argv[1])
    engine = Engine("test", guards=Guards(tied_to_agent=given["tied"]))
    command = ("sleep", "120")
    running = await engine.start(Spec(given["image"], command, "test", given["attempt"], 1, 100_000_000))
    print(running.id, flush=True)
    await asyncio.sleep(120)
asyncio.run(hold())
"""
TRIES_TO_STOP_IT = """
import ctypes, os, signal
for sign in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    os.kill(1, sign)
library = ctypes.CDLL(None, use_errno=True)
print("traced" if library.ptrace(16, 1, 0, 0) == 0 else "not traced", flush=True)
try:
    os.listdir("/proc/1/fd"), open("/proc/1/mem", "r+b")
    print("opened", flush=True)
except OSError:
    print("not opened", flush=True)
import time
time.sleep(120)
"""

PRIORITIES = """
import ctypes, os, sys, time
read = {"x86_64": 252, "aarch64": 31}[os.uname().machine]
end = time.monotonic() + float(sys.argv[1])
while True:
    found = os.getpriority(os.PRIO_PROCESS, 0), ctypes.CDLL(None).syscall(read, 1, 0) >> 13
    if found == (19, 3) or time.monotonic() >= end:
        break
    time.sleep(0.05)
print(*found, flush=True)
"""
"""Its nice and its class for the disk (ioprio_get(2), which glibc has no name for): both are set once it is there already."""
LOWEST_NICE, IDLE = 19, 3


async def _state(engine: Engine, container: str) -> dict[str, object]:
    found: dict[str, object] = (await engine.call(lambda: engine.api.inspect_container(container)))["State"]
    return found


def _held_by_another_process(stage: Stage, tied: bool) -> tuple["subprocess.Popen[bytes]", str]:
    given = json.dumps({"image": stage.image, "attempt": f"orphan-{uuid4().hex}", "tied": tied})
    env = stage.environment()
    holder = subprocess.Popen((sys.executable, "-c", AN_AGENT, given), env=env, stdout=subprocess.PIPE, cwd=Path.cwd())
    assert holder.stdout is not None
    return holder, holder.stdout.readline().decode().strip()


@pytest.mark.parametrize("tied", [True, False])
async def test_a_container_ends_with_the_agent_that_was_killed_and_is_never_started_again(stage: Stage, tied: bool) -> None:
    engine = Engine("test")
    holder, container = await asyncio.to_thread(_held_by_another_process, stage, tied)
    try:
        assert (await _state(engine, container))["Running"]
        holder.kill()
        if tied:
            code = (await engine.call(lambda: engine.api.wait(container, timeout=30)))["StatusCode"]
            assert code == ABANDONED
        else:
            await asyncio.sleep(1)  # the other one has ended within a tenth of this
            assert (await _state(engine, container))["Running"], "nothing but the warden would end it"
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
        await engine.call(lambda: engine.api.remove_container(container, force=True))
        engine.close()


async def _started(engine: Engine, stage: Stage, seconds: float, *command: str) -> Running:
    spec = Spec(stage.image, command, "test", f"orphan-{uuid4().hex}", 1, 100_000_000, seconds=seconds)
    return await engine.start(spec)


async def test_nothing_inside_stops_the_hour_at_which_a_container_ends_by_itself(stage: Stage) -> None:
    engine = Engine("test")
    running = await _started(engine, stage, 3, "python3", "-c", TRIES_TO_STOP_IT)
    try:
        assert [await running.line(), await running.line()] == [b"not traced", b"not opened"]
        assert (await running.wait()).code == OVERDUE
    finally:
        await running.remove()
        engine.close()


async def test_what_a_command_says_and_how_it_ends_passes_through(stage: Stage) -> None:
    engine = Engine("test")
    kills_itself = "import os, sys; print(os.getpid() > 1, os.readlink('/proc/self/fd/0'), flush=True); os.kill(os.getpid(), 11)"
    for command, line, code in ((kills_itself, b"True /dev/null", 139), ("raise SystemExit(7)", None, 7)):
        running = await _started(engine, stage, 60, "python3", "-c", command)
        try:
            assert await running.line() == line
            assert (await running.wait()).code == code
        finally:
            await running.remove()
    engine.close()


@pytest.mark.parametrize("lowest", [True, False])
async def test_at_the_lowest_priority_a_container_gets_what_nobody_else_wants_and_at_the_normal_one_its_share(
    stage: Stage, lowest: bool
) -> None:
    engine, command = Engine("test"), ("python3", "-c", PRIORITIES, "10" if lowest else "0.3")
    running = await engine.start(Spec(stage.image, command, "test", f"orphan-{uuid4().hex}", 1, 100_000_000, lowest=lowest))
    try:
        found = await engine.call(lambda: engine.api.inspect_container(running.id))
        nice, disk = map(int, (await running.line() or b"").split())
    finally:
        await running.remove()
        engine.close()
    assert (nice == LOWEST_NICE, disk == IDLE, found["HostConfig"]["CpuShares"] == LOWEST["cpu_shares"]) == (lowest,) * 3
