"""What goes wrong at a lender's, each at a moment that is certain: what must come of it is that nothing is done twice."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path

from contracts.events import AgentReady, FramesStored
from infra.local import supervision
from infra.local.layout import Layout
from tests.faults.small_disk import SmallDisk
from tests.faults.stage import BROKER, TRIES, Stage
from tests.faults.wire import Way
from tests.waiting import until

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
TURNED_SECONDS = 600
KEEP_FREE = {"FRAMELEND_AGENT_KEEP_FREE_BYTES": str(1 << 20)}


def a_wrong_clock(seconds: int) -> dict[str, str]:
    """The wall clock of one process, for everything in it: Python, SQLite, ids, TLS. Clocks that only count stay right, as they
    do on a machine whose date is wrong."""
    assert Path(LIBRARY).exists(), "infra/setup.sh installs Debian's faketime"
    return {"LD_PRELOAD": LIBRARY, "FAKETIME": f"{seconds:+d}", "DONT_FAKE_MONOTONIC": "1"}


@dataclass
class Hiccups:
    """On a stage with two lenders; one clock is ten minutes fast, the other ten minutes slow, and the second's disk is small."""

    stage: Stage
    disk: SmallDisk
    _died: set[str] = field(default_factory=set)

    async def begin(self, meanwhile: Awaitable[object]) -> None:
        """`meanwhile`: while the machines start and measure themselves."""
        fast, slow = self.stage.lent
        self.disk.open()
        self.stage.machines = {
            fast: a_wrong_clock(TURNED_SECONDS),
            slow: a_wrong_clock(-TURNED_SECONDS) | KEEP_FREE | {"FRAMELEND_AGENT_DIR": str(self.disk.path / "agent")},
        }
        await self._stopped(fast, slow)
        await asyncio.gather(meanwhile, *(self.stage.run_agent(agent) for agent in (fast, slow)))
        await until(lambda: self._is_off_by(fast, TURNED_SECONDS), "a clock that is wrong indeed")
        await until(lambda: self._is_off_by(slow, -TURNED_SECONDS), "a clock that is wrong the other way")

    async def end(self) -> None:
        """The machines as they were."""
        self.stage.machines = {}
        await self._stopped(*self.stage.lent)
        self.disk.close()
        await asyncio.gather(*(self.stage.run_agent(agent) for agent in self.stage.lent))

    async def _stopped(self, *agents: str) -> None:
        await asyncio.gather(*(asyncio.to_thread(self.stage.farm.agents[agent].stop) for agent in agents))

    def _is_off_by(self, agent: str, turned: int) -> bool:
        """By when its process believes that it made the id of its run: a UUIDv7 begins with milliseconds."""
        runs = [ready.run for ready in self.stage.ear.said_by(AgentReady, agent)]
        return any(abs(int(run.replace("-", "")[:12], 16) / 1000 - time.time() - turned) < 120 for run in runs)

    # --- one each

    async def broker_restarts(self) -> None:
        """With containers at work."""
        flying = await until(self.stage.flying, "a frame is in flight", 60)
        await asyncio.to_thread(supervision.kill, Layout.of(), BROKER)
        await self._stored_since()
        assert flying

    async def agent_dies_mid_upload(self, way: Way) -> None:
        """kill -9 while the bytes of a frame are on their way (SAID), or are in the store and nobody told it so (ANSWERED)."""
        attempt, victim = await self._an_upload_is_held(way)
        self._died.add(victim)
        process = self.stage.farm.agents[victim]
        process.kill()
        await self.stage.store.cut()
        await self.stage.run_agent(victim)
        await until(
            lambda: self.stage.ear.said(FramesStored, attempt=attempt), "what it had finished is stored from the same attempt"
        )

    async def _an_upload_is_held(self, way: Way) -> tuple[str, str]:
        """Of any lender's attempt: (attempt, agent)."""
        for _ in range(TRIES):
            attempt, agent = (await until(self._fresh, "a lender has a chunk of which nothing is stored", 90))[0]
            self.stage.store.hold("", f"staged/{attempt}/", way)
            if await _happens(self.stage.store.holds, 20):
                return attempt, agent
        raise AssertionError("no upload could be held")

    async def _fresh(self) -> list[tuple[str, str]]:
        """Lenders' attempts in flight of which no frame is stored: (attempt, agent). Not of who has died before: with two
        chunks in hand each time it would have left the job too often in a row, and be kept off it for ten minutes."""
        lent = set(self.stage.lent) - self._died
        flying = [(attempt, agent) for attempt, (agent, _) in (await self.stage.flying()).items() if agent in lent]
        return [(attempt, agent) for attempt, agent in flying if not self.stage.ear.said(FramesStored, attempt=attempt)]

    async def store_is_away(self, seconds: float) -> None:
        """Refused connections for everybody, storage too, with frames in flight."""
        await until(self.stage.flying, "a frame is in flight", 60)
        await self.stage.store.shut()
        await asyncio.sleep(seconds)
        await self.stage.store.open()
        await self._stored_since()

    async def disk_is_full(self) -> None:
        """Of the second lender, with a frame of it in flight: it stops taking work until there is room."""
        agent = self.stage.lent[1]
        await until(lambda: self.stage.flying(agent), "a frame of it is in flight", 90)
        self.disk.fill()
        await until(lambda: self._slots(agent) == 0, "it takes no more work", 90)
        assert self.disk.free() < 1 << 26
        self.disk.empty()
        await until(lambda: self._slots(agent) == 1, "it takes work again", 60)

    def _slots(self, agent: str) -> int:
        return self.stage.ear.said_by(AgentReady, agent)[-1].slots

    async def _stored_since(self) -> None:
        before = len(self.stage.stored())
        await until(lambda: len(self.stage.stored()) > before, "another frame is stored", 120)


async def _happens(condition: object, seconds: float) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False
