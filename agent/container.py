"""Locked-down render containers through Docker: the one place that knows Docker.

Its locks are agent.lockdown's, and nothing of an assignment can loosen them. The SDK blocks, so its calls run in threads. A
container ends when the agent that holds its stdin has gone (agent.warden), and carries its agent's label, so that what a crash
leaves behind is found.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from docker.utils.socket import STDOUT, frames_iter
from requests.exceptions import RequestException

from agent import lockdown
from agent.hearing import STDERR_MOST_BYTES, Blocks, Voice
from agent.lockdown import Guards, Spec

AGENT_LABEL, HOME_LABEL, ATTEMPT_LABEL = "framelend.agent", "framelend.home", "framelend.attempt"
DRIVER = ("python3", "/opt/framelend/driver.py")
SURVEY = ("python3", "/opt/framelend/survey.py")
BENCHMARK = ("python3", "/opt/framelend/benchmark.py")
WARDEN = ("python3", "-IS", "-c", (Path(__file__).parent / "warden.py").read_text(encoding="utf-8"))
HOLD_TRIES, HOLD_PAUSE_SECONDS = 10, 0.1
UNBOUNDED = 1 << 62
ATTACHED = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
BROKEN = (DockerException, RequestException, OSError, ValueError)
T = TypeVar("T")


class EngineAway(Exception):
    """Docker does not answer."""


class EngineRefused(EngineAway):
    """It answers that it will not, or does not know what we speak of."""


class ContainerGone(EngineRefused):
    """It does not know this container any more: somebody has removed it."""


@dataclass(frozen=True)
class Exit:
    """`memory_limit_bytes`: what it might use at its end; None for no limit."""

    code: int
    out_of_memory: bool
    stderr: str
    memory_limit_bytes: int | None = None


@dataclass
class Running:
    """A started container. Read `line()` until it gives None, then `wait()`, then `remove()`."""

    engine: "Engine"
    id: str
    _voice: Voice
    _wire: Any = None
    """To its stdin, which says nothing, from its stdout and stderr. The container ends when this closes, as it does with our
    process."""

    async def line(self) -> bytes | None:
        """The next line of stdout without its end; None when the container has closed it."""
        return await self._voice.line()

    def counted(self, count: int) -> AsyncIterator[bytes]:
        """The next `count` bytes of stdout. Raises hearing.CutShort."""
        return self._voice.counted(count)

    async def kill(self) -> None:
        """Ends it now. One that has ended already is fine."""
        await self.engine.call(self._kill)

    def _kill(self) -> None:
        try:
            self.engine.api.kill(self.id)
        except docker.errors.APIError as refused:
            if refused.status_code not in (404, 409):
                raise

    async def hold(self, frozen: bool) -> None:
        """Stops or lets go all its processes where they stand, through the kernel's freezer. One that has ended is fine."""
        await self.engine.call(lambda: self._hold(frozen))

    def _hold(self, frozen: bool) -> None:
        """More than once: under load runc (1.1, cgroups of version 1) gives up freezing a container that starts threads."""
        for left in reversed(range(HOLD_TRIES)):
            try:
                return (self.engine.api.pause if frozen else self.engine.api.unpause)(self.id)  # type: ignore[no-any-return]
            except docker.errors.APIError:
                if self._is_held(frozen):
                    return None
                if not left:
                    raise
            time.sleep(HOLD_PAUSE_SECONDS)

    def _is_held(self, frozen: bool) -> bool:
        """Whether it stands as it should, or not at all any more."""
        try:
            state = self.engine.api.inspect_container(self.id)["State"]
        except NotFound:
            return True
        return not state["Running"] or bool(state["Paused"]) is frozen

    async def cpu_micros(self) -> int:
        """CPU time of all its processes so far."""
        return int((await self.stats()).get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)) // 1000

    async def stats(self) -> dict[str, Any]:
        """What the engine knows of its cgroup, at once (without waiting for a second look)."""
        return dict(await self.engine.call(lambda: self.engine.api.stats(self.id, stream=False, one_shot=True)))

    async def wait(self) -> Exit:
        """Raises ContainerGone when it vanished."""
        await self.engine.call(lambda: self.engine.api.wait(self.id, timeout=30))
        found = await self.engine.call(lambda: self.engine.api.inspect_container(self.id))
        state, limit = found["State"], found["HostConfig"].get("Memory") or None
        return Exit(int(state["ExitCode"]), bool(state.get("OOMKilled")), self._voice.stderr(), limit)

    async def is_paused(self) -> bool:
        """Whether it stands still, by whosever order."""
        found = await self.engine.call(lambda: self.engine.api.inspect_container(self.id))
        return bool(found["State"].get("Paused"))

    async def remove(self) -> None:
        """Best effort: what stays is found by its label later. Nothing it says is heard any more."""
        self.engine._boxes.discard(self.id)
        self._voice.close()
        with contextlib.suppress(EngineAway):
            await self.engine.call(lambda: self.engine.api.remove_container(self.id, force=True, v=True))
        if self._wire is not None:
            self._wire._response.close()
            self._wire.close()


class Engine:
    """Docker Engine as DOCKER_HOST names it. Every method raises EngineAway when it does not answer.

    `home` marks our containers: agents of other farms on this machine may have the same id.
    """

    def __init__(self, home: str, guards: Guards | None = None) -> None:
        self._home, self.guards = home, guards or Guards()
        self._client: Any = None
        self._boxes: set[str] = set()

    def boxes(self) -> frozenset[str]:
        """Ids of the containers that this process has started and not removed."""
        return frozenset(self._boxes)

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
            words = str(refused.explanation or refused)[:300]
            gone = refused.status_code == 404 and "No such container" in words
            raise (ContainerGone if gone else EngineRefused)(f"docker: {words}") from refused
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

    async def lacking(self) -> tuple[str, ...]:
        """The locks that this engine cannot keep."""
        return lockdown.lacking(await self.call(lambda: self.api.info()))

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
        created = await self.call(lambda: self.api.create_container(**_options(self.api, spec, self._home, self.guards)))
        voice = Voice(*((spec.line_bytes, STDERR_MOST_BYTES) if self.guards.bounded_talk else (UNBOUNDED, None)))
        running = Running(self, created["Id"], voice)
        self._boxes.add(running.id)
        try:
            wire = running._wire = await self.call(lambda: self.api.attach_socket(running.id, params=ATTACHED))
            voice.listen(_demultiplexed(wire), BROKEN)
            await self.call(lambda: self.api.start(running.id))
        except BaseException:
            await running.remove()
            raise
        return running


def _demultiplexed(wire: Any) -> Blocks:
    """Stdout and stderr told apart, as they come."""
    frames: Any = frames_iter
    for stream, block in frames(wire, tty=False):
        yield (block, None) if stream == STDOUT else (None, block)


def _warden(spec: Spec) -> tuple[str, ...]:
    return (*WARDEN, str(spec.seconds), "lowest" if spec.lowest else "normal")


def _options(api: Any, spec: Spec, home: str, guards: Guards) -> dict[str, Any]:
    return {
        "image": spec.image,
        "command": [*_warden(spec), *spec.command] if guards.tied_to_agent else list(spec.command),
        "stdin_open": True,
        "name": f"framelend-{spec.attempt}",
        "user": lockdown.user(guards),
        "labels": {AGENT_LABEL: spec.agent, HOME_LABEL: home, ATTEMPT_LABEL: spec.attempt},
        "network_disabled": guards.no_network,
        "host_config": lockdown.host_config(api, spec, guards),
    }
