"""A lender's home: a tree of what his machine would show of him, his agent.toml, and his commands."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent.control import ask
from tests.integration.agent.stage import Stage

STEP_SECONDS = 0.2


class Home:
    """Sensors of the agent on `stage` read below `folder`."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.folder = stage, stage.folder / "machine"
        self._interrupts = 0
        for name in ("proc", "sys", "dev"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.touch()

    def settings(self, text: str) -> None:
        """Becomes his agent.toml."""
        home = self.stage.folder / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "agent.toml").write_text(text, encoding="utf-8")

    def roots(self) -> dict[str, str]:
        return {f"FRAMELEND_AGENT_{name.upper()}_ROOT": str(self.folder / name) for name in ("proc", "sys", "dev")}

    def touch(self) -> None:
        """He presses a key."""
        self._interrupts += 1
        text = f"           CPU0\n  1:  {self._interrupts}  IO-APIC  1-edge  i8042\n 24:  77  IO-APIC  5-edge  virtio0\n"
        new = self.folder / "proc/interrupts.new"
        new.write_text(text, encoding="ascii")
        new.replace(self.folder / "proc/interrupts")

    @asynccontextmanager
    async def typing(self) -> AsyncIterator[None]:
        """He is at the machine meanwhile."""
        task = asyncio.create_task(self._type())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _type(self) -> None:
        while True:
            self.touch()
            await asyncio.sleep(STEP_SECONDS)

    async def command(self, *words: str, code: int = 0) -> str:
        """What `framelend-agent …` says, in the agent's environment."""
        command = [sys.executable, "-m", "agent.cli", *words]
        env = self.stage.environment(**self.roots())
        done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    async def asked(self, order: str) -> dict[str, Any]:
        """As the commands ask the running agent, without starting Python each time."""
        return await asyncio.to_thread(ask, self.stage.folder / "home", {"order": order})

    async def status(self) -> dict[str, Any]:
        return await self.asked("status")

    def frozen(self) -> list[bool]:
        """Of each container of this agent."""
        host = {**os.environ, "DOCKER_HOST": self.stage.world.farm["FARM_DOCKER_HOST"]}
        words = ["docker", "inspect", "--format", "{{.State.Paused}}", *self.stage.containers()]
        if len(words) == 4:
            return []
        found = subprocess.run(words, env=host, capture_output=True, text=True, check=False)
        return [line == "true" for line in found.stdout.split()]
