"""Renders without a container, on a machine whose owner trusts every job it gets: the same driver, read in the same way.

It stands where agent.container stands and gives up nearly all of agent.lockdown: GIVES_UP says so at every start. Only limits of
the process are left. Hence the conditions in `chosen`: it must be switched on, renters must be named, and where Docker answers it
must be insisted on.
"""

import asyncio
import contextlib
import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import structlog

from agent import limits
from agent.container import WARDEN, Engine, EngineAway, EngineRefused, Exit
from agent.hearing import STDERR_MOST_BYTES, Blocks, Voice
from agent.lender import UnusableSettings
from agent.lockdown import UID, Guards, Spec, out_bytes
from agent.settings import AgentSettings

log = structlog.get_logger()

HOME_MARK, ATTEMPT_MARK = "FRAMELEND_PROCESS_HOME", "FRAMELEND_PROCESS_ATTEMPT"
GIVES_UP = (
    "chunks run as processes of this user, without a container: they can read and write what this user can, use the network, "
    "and see other processes. Only for the work of renters you trust as you trust yourself"
)
BLOCK = 1 << 15
PROBE_SECONDS = 60
_PROBE = "import bpy, sys; sys.stdout.write(bpy.utils.resource_path('LOCAL'))"


async def chosen(settings: AgentSettings, home: str) -> "Engine | Processes":
    """What renders on this machine. Raises UnusableSettings with what is missing."""
    if settings.agent_executor == "docker":
        if why := shared_user(os.geteuid()):
            raise UnusableSettings(why)
        return Engine(home)
    modules = await bare(settings)
    log.warning("no sandbox", gives_up=GIVES_UP)
    return Processes(home, settings, modules)


async def bare(settings: AgentSettings) -> str:
    """Blender's own Python modules, where chunks may run without containers. Raises UnusableSettings with what is missing."""
    if not settings.accept.renters:
        raise UnusableSettings("executor = process needs [accept] renters: name the accounts whose scenes may run here")
    if not settings.agent_executor_insists and await _docker_answers():
        raise UnusableSettings(
            "Docker answers on this machine, so chunks can run in locked containers: leave FRAMELEND_AGENT_EXECUTOR out, or "
            "insist with FRAMELEND_AGENT_EXECUTOR_INSISTS=true"
        )
    return await asyncio.to_thread(_modules, settings.agent_blender_python, settings.agent_driver)


def shared_user(own: int) -> str | None:
    """What is wrong with running as this user: a stranger's scene that gets out of its container must not be the agent there."""
    if own != UID:
        return None
    return f"user {UID} is the one that render containers run as: run the agent as another (its image does, without --user)"


async def _docker_answers() -> bool:
    with contextlib.closing(Engine("")) as engine:
        try:
            await engine.call(lambda: engine.api.ping())
        except EngineAway:
            return False
    return True


def _modules(python: Path | None, driver: Path | None) -> str:
    """Found by asking the interpreter for bpy."""
    if python is None or driver is None:
        raise UnusableSettings(
            "executor = process needs FRAMELEND_AGENT_BLENDER_PYTHON, a Python that can import bpy, and FRAMELEND_AGENT_DRIVER, "
            "the folder of the render driver (infra/images/render in a checkout)"
        )
    if not (driver / "driver.py").is_file():
        raise UnusableSettings(f"{driver} holds no driver.py")
    try:
        asked = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as wrong:
        raise UnusableSettings(f"{python} cannot be asked for bpy: {wrong}") from None
    if asked.returncode != 0 or not asked.stdout:
        raise UnusableSettings(f"{python} cannot import bpy: {asked.stderr.strip()[-300:]}")
    found = Path(asked.stdout.splitlines()[-1]).glob("python/lib/python3*/site-packages")
    return os.pathsep.join(map(str, found))


class Processes:
    """Stands in for Engine. `modules`: more folders for PYTHONPATH."""

    guards = Guards()
    """Only what concerns listening holds here."""

    def __init__(self, home: str, settings: AgentSettings, modules: str) -> None:
        self._home, self._settings, self._modules = home, settings, modules
        self._own: set[int] = set()

    def boxes(self) -> frozenset[str]:
        return frozenset()

    def close(self) -> None:
        """Nothing is open."""

    async def has(self, image: str) -> bool:
        """The owner's word: an image cannot be compared with an interpreter."""
        return image == self._settings.agent_image

    async def lacking(self) -> tuple[str, ...]:
        """GIVES_UP was said at the start."""
        return ()

    async def sweep(self, but: Callable[[], frozenset[str]]) -> int:
        """Ends processes of this home that belong to none of the attempts `but`; how many groups there were."""
        found = await asyncio.to_thread(_of, self._home)
        kept = but()
        left = {group for group, attempt in found if attempt not in kept}
        for group in left:
            _signal(group, signal.SIGKILL)
        return len(left)

    async def start(self, spec: Spec) -> "Process":
        """The process runs when this returns. Raises EngineRefused."""
        try:
            return await asyncio.to_thread(self._start, spec, Voice(spec.line_bytes, STDERR_MOST_BYTES))
        except OSError as refused:
            raise EngineRefused(f"no process could be started: {refused.strerror}") from None

    def _start(self, spec: Spec, voice: Voice) -> "Process":
        folder = spec.binds[0][0] if spec.binds else self._settings.agent_dir / "work" / spec.attempt / "in"
        for source, inside in spec.binds[1:]:
            _link(source, folder / Path(inside).relative_to("/in"))
        out, tmp = folder.parent / "out", folder.parent / "tmp"
        for own in (out, tmp):
            own.mkdir(parents=True, exist_ok=True)
        child = subprocess.Popen(
            self._command(spec),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=tmp,
            env=self._environment(spec, folder, out, tmp),
        )
        voice.listen(_blocks(child), (OSError, ValueError))
        return Process(child, spec, voice, folder.parent)

    def _command(self, spec: Spec) -> list[str]:
        priority = "lowest" if spec.lowest else "normal"
        sizes = (spec.memory_bytes, out_bytes(spec), max(1, math.ceil(spec.cpus)))
        warden = [sys.executable, *WARDEN[1:], str(spec.seconds), priority]
        limited = [sys.executable, "-IS", limits.__file__, *map(str, sizes)]
        script = Path(spec.command[-1]).name
        return [*warden, *limited, *map(os.path.abspath, self._program(script))]

    def _program(self, script: str) -> tuple[Path, Path]:
        """The working folder is another one."""
        settings = self._settings
        return settings.agent_blender_python or Path(sys.executable), (settings.agent_driver or Path()) / script

    def _environment(self, spec: Spec, folder: Path, out: Path, tmp: Path) -> dict[str, str]:
        """Nothing of the agent's own: no credential, no address."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp),
            "TMPDIR": str(tmp),
            "PYTHONPATH": self._modules,
            "PYTHONDONTWRITEBYTECODE": "1",
            "FRAMELEND_IN": str(folder),
            "FRAMELEND_OUT": str(out),
            HOME_MARK: self._home,
            ATTEMPT_MARK: spec.attempt,
        }


@dataclass
class Process:
    """Stands in for container.Running."""

    child: "subprocess.Popen[bytes]"
    spec: Spec
    _voice: Voice
    _folder: Path

    @property
    def id(self) -> str:
        return str(self.child.pid)

    async def line(self) -> bytes | None:
        return await self._voice.line()

    def counted(self, count: int) -> AsyncIterator[bytes]:
        return self._voice.counted(count)

    async def kill(self) -> None:
        _signal(self.child.pid, signal.SIGKILL)

    async def hold(self, frozen: bool) -> None:
        _signal(self.child.pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    async def is_paused(self) -> bool:
        with contextlib.suppress(psutil.Error):
            return bool(psutil.Process(self.child.pid).status() == psutil.STATUS_STOPPED)
        return False

    async def cpu_micros(self) -> int:
        return int((await self.stats())["cpu_stats"]["cpu_usage"]["total_usage"]) // 1_000

    async def stats(self) -> dict[str, Any]:
        """As Docker tells them, so far as a process knows."""
        return await asyncio.to_thread(self._stats)

    def _stats(self) -> dict[str, Any]:
        cpu, memory = 0.0, 0
        for process in _tree(self.child.pid):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
                memory += process.memory_info().rss
        return {"cpu_stats": {"cpu_usage": {"total_usage": round(cpu * 1e9)}}, "memory_stats": {"usage": memory}}

    async def wait(self) -> Exit:
        """That memory was short shows in Blender's words only."""
        code = await asyncio.to_thread(self.child.wait)
        return Exit(code if code >= 0 else 128 - code, False, self._voice.stderr(), self.spec.memory_bytes)

    async def remove(self) -> None:
        """All of its group goes, and its folders."""
        self._voice.close()
        _signal(self.child.pid, signal.SIGKILL)
        await asyncio.to_thread(self._clear)

    def _clear(self) -> None:
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        for name in ("out", "tmp") if self.spec.binds else (".",):
            shutil.rmtree(self._folder / name, ignore_errors=True)


def _blocks(child: "subprocess.Popen[bytes]") -> Blocks:
    """Stdout and stderr as they come, until both have ended."""
    with selectors.DefaultSelector() as waiting:
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                waiting.register(pipe, selectors.EVENT_READ)
        while waiting.get_map():
            for key, _ in waiting.select():
                block = os.read(key.fd, BLOCK)
                if not block:
                    waiting.unregister(key.fileobj)
                elif key.fileobj is child.stdout:
                    yield block, None
                else:
                    yield None, block


def _link(source: Path, target: Path) -> None:
    """The cached files under another name: nothing is copied."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=os.link)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _tree(process: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(process)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _of(home: str) -> list[tuple[int, str]]:
    """(process group, attempt) of every process that carries this home's mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get(HOME_MARK) == home:
                found.append((os.getpgid(process.pid), environment.get(ATTEMPT_MARK, "")))
    return found
