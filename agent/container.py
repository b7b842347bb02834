"""Locked-down render containers through Docker: the one place that knows Docker.

The options are one fixed line; nothing of an assignment can loosen them. The SDK blocks, so its calls run in threads. A container
carries its agent's label, so that what a crash leaves behind is found.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Ulimit
from requests.exceptions import RequestException

AGENT_LABEL, HOME_LABEL, ATTEMPT_LABEL = "framelend.agent", "framelend.home", "framelend.attempt"
UID = 10001
DRIVER = ("python3", "/opt/framelend/driver.py")
SURVEY = ("python3", "/opt/framelend/survey.py")
BENCHMARK = ("python3", "/opt/framelend/benchmark.py")
STDERR_BYTES = 64 << 10
WAITING_LINES = 256
T = TypeVar("T")


class EngineAway(Exception):
    """Docker does not answer."""


class EngineRefused(EngineAway):
    """It answers that it will not, or does not know what we speak of."""


@dataclass(frozen=True)
class Spec:
    """One container. `binds`: (host folder, folder inside, writable). `line_bytes` bounds one line of stdout."""

    image: str
    command: tuple[str, ...]
    agent: str
    attempt: str
    cpus: float
    memory_bytes: int
    binds: tuple[tuple[Path, str, bool], ...] = ()
    line_bytes: int = 4_096


@dataclass(frozen=True)
class Exit:
    code: int
    out_of_memory: bool
    stderr: str


TOO_LONG = b"\0too long"
"""Stands for a line that was longer than allowed."""


@dataclass
class Running:
    """A started container. Read `line()` until it gives None, then `wait()`, then `remove()`."""

    engine: "Engine"
    id: str
    _lines: "asyncio.Queue[bytes | None]"
    _stderr: deque[bytes] = field(default_factory=deque)
    _deaf: bool = False

    async def line(self) -> bytes | None:
        """The next line of stdout without its end; None when the container has closed it."""
        return await self._lines.get()

    async def kill(self) -> None:
        """Ends it now. One that has ended already is fine."""
        await self.engine.call(self._kill)

    def _kill(self) -> None:
        try:
            self.engine.api.kill(self.id)
        except docker.errors.APIError as refused:
            if refused.status_code not in (404, 409):
                raise

    async def cpu_micros(self) -> int:
        """CPU time of all its processes so far."""
        stats = await self.engine.call(lambda: self.engine.api.stats(self.id, stream=False, one_shot=True))
        return int(stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)) // 1000

    async def wait(self) -> Exit:
        """Raises EngineAway when it vanished."""
        await self.engine.call(lambda: self.engine.api.wait(self.id, timeout=30))
        state = (await self.engine.call(lambda: self.engine.api.inspect_container(self.id)))["State"]
        stderr = b"".join(self._stderr)[-STDERR_BYTES:].decode(errors="replace")
        return Exit(int(state["ExitCode"]), bool(state.get("OOMKilled")), stderr)

    async def remove(self) -> None:
        """Best effort: what stays is found by its label later. Nothing it says is heard any more."""
        self._deaf = True
        while not self._lines.empty():
            self._lines.get_nowait()
        with contextlib.suppress(EngineAway):
            await self.engine.call(lambda: self.engine.api.remove_container(self.id, force=True, v=True))


class Engine:
    """Docker Engine as DOCKER_HOST names it. Every method raises EngineAway when it does not answer.

    `home` marks our containers: agents of other farms on this machine may have the same id.
    """

    def __init__(self, home: str) -> None:
        self._home = home
        self._client: Any = None

    @property
    def api(self) -> Any:
        """Connected on first use; raises docker's own errors."""
        if self._client is None:
            self._client = docker.from_env(timeout=60)
        return self._client.api

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    async def call(self, what: Callable[[], T]) -> T:
        """In a thread, with Docker's errors as EngineAway."""
        try:
            return await asyncio.to_thread(what)
        except docker.errors.APIError as refused:
            raise EngineRefused(f"docker: {str(refused)[:300]}") from refused
        except (DockerException, RequestException, OSError) as away:
            raise EngineAway(f"docker: {type(away).__name__}: {str(away)[:200]}") from away

    async def has(self, image: str) -> bool:
        """Whether exactly this image (by digest of its configuration) is here."""
        return await self.call(lambda: self._has(image))

    def _has(self, image: str) -> bool:
        try:
            return bool(self.api.inspect_image(image)["Id"] == image)
        except ImageNotFound:
            return False

    async def sweep(self, but: Callable[[], frozenset[str]]) -> int:
        """Removes containers of this home that belong to none of the attempts `but`; how many there were.

        `but` is asked after Docker was: what is started meanwhile is not among what Docker named.
        """
        found = await self.call(lambda: self.api.containers(all=True, filters={"label": f"{HOME_LABEL}={self._home}"}))
        kept = but()
        left = [container["Id"] for container in found if container["Labels"].get(ATTEMPT_LABEL) not in kept]
        for container in left:
            await self.call(partial(self._remove, container))
        return len(left)

    def _remove(self, container: str) -> None:
        with contextlib.suppress(NotFound):
            self.api.remove_container(container, force=True, v=True)

    async def start(self, spec: Spec) -> Running:
        """The container runs when this returns."""
        loop = asyncio.get_running_loop()
        created = await self.call(lambda: self.api.create_container(**_options(self.api, spec, self._home)))
        running = Running(self, created["Id"], asyncio.Queue(WAITING_LINES))
        try:
            stream = await self.call(lambda: self.api.attach(running.id, stdout=True, stderr=True, stream=True, demux=True))
            reader = threading.Thread(target=_listen, args=(stream, running, spec.line_bytes, loop), daemon=True)
            reader.start()
            await self.call(lambda: self.api.start(running.id))
        except BaseException:
            await running.remove()
            raise
        return running


def _options(api: Any, spec: Spec, home: str) -> dict[str, Any]:
    """Everything Docker is told. The line is the same for every job; only sizes differ."""
    host = api.create_host_config(
        init=True,
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": "rw,noexec,nosuid,nodev,size=256m,mode=1777"},  # noqa: S108 - inside the container
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=4 * (os.cpu_count() or 1) + 64,
        mem_limit=spec.memory_bytes,
        memswap_limit=spec.memory_bytes,
        nano_cpus=int(spec.cpus * 1e9),
        ulimits=[_limit("nofile", 1024), _limit("core", 0), _limit("fsize", 2 << 30)],
        binds=[f"{outside}:{inside}:{'rw' if writable else 'ro'}" for outside, inside, writable in spec.binds],
        log_config=LogConfig(type=LogConfig.types.NONE),
        restart_policy={"Name": "no"},
    )
    return {
        "image": spec.image,
        "command": list(spec.command),
        "name": f"framelend-{spec.attempt}",
        "user": f"{UID}:{UID}",
        "labels": {AGENT_LABEL: spec.agent, HOME_LABEL: home, ATTEMPT_LABEL: spec.attempt},
        "network_disabled": True,
        "host_config": host,
    }


def _limit(name: str, most: int) -> Ulimit:
    return Ulimit(name=name, soft=most, hard=most)


def _listen(stream: Iterator[tuple[bytes | None, bytes | None]], running: Running, most: int, loop: Any) -> None:
    """In a thread of its own: lines of stdout to the event loop, stderr's tail kept. A full queue makes the container wait."""

    def pass_on(line: bytes | None) -> None:
        if not running._deaf:
            asyncio.run_coroutine_threadsafe(running._lines.put(line), loop).result()

    kept = 0
    rest = b""
    try:
        for out, err in stream:
            if err:
                running._stderr.append(err)
                kept += len(err)
                while kept > 2 * STDERR_BYTES and len(running._stderr) > 1:
                    kept -= len(running._stderr.popleft())
            if out:
                rest = _split(rest + out, most, pass_on)
    except (DockerException, RequestException, OSError, ValueError):
        pass  # the connection is gone; `wait` says what became of the container
    finally:
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            pass_on(None)


def _split(text: bytes, most: int, pass_on: Callable[[bytes | None], None]) -> bytes:
    """Passes on whole lines; returns the unfinished rest. Of a line that is too long only the fact is passed on."""
    *lines, rest = text.split(b"\n")
    for line in lines:
        pass_on(line if len(line) <= most else TOO_LONG)
    if len(rest) > most:
        pass_on(TOO_LONG)
        return b""
    return rest
