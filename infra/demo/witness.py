"""An ear on the bus for the demo's report: what was said, as the operator may hear it. It answers nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import TypeVar

from aio_pika.abc import AbstractIncomingMessage

from contracts.bus import NotAnEvent, connect, read
from contracts.events import AgentChanged, AgentReady, Event, FramesRendered, FramesStored
from contracts.topology import AGENTS, EVENTS
from contracts.values import Benchmark
from contracts.work import work
from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile

E = TypeVar("E", bound=Event)
LISTEN_SECONDS = 20


class Witness:
    """Listens in a thread of its own from `start` to `stop`."""

    def __init__(self, farm: FarmFile) -> None:
        self._url = farm.amqp_url(*farm.rabbit_admin)
        self._heard: dict[str, tuple[str, Event]] = {}
        """By message: what is told again is the same fact."""
        self.first_picture: float | None = None
        """When the first frame of any job was stored, in seconds since the epoch."""
        self._listening, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), name="witness", daemon=True)

    def start(self) -> None:
        """Listens when this returns. Raises FarmError when it cannot: what it misses nobody tells it later."""
        self._thread.start()
        if not self._listening.wait(LISTEN_SECONDS):
            raise FarmError(
                "the witness", f"does not hear the broker within {LISTEN_SECONDS} s", advice="see `make logs NAME=rabbitmq`"
            )

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def said(self, event: type[E]) -> Iterator[tuple[str, E]]:
        """(who, what) of every event of this type so far; who is an agent's id for what agents say."""
        for key, fact in list(self._heard.values()):
            if isinstance(fact, event):
                yield key.removesuffix(f".{event.key()}"), fact

    def benchmarks(self) -> dict[str, Benchmark]:
        return {agent: fact.benchmark for agent, fact in self.said(AgentReady) if fact.benchmark is not None}

    def measured(self, job: str) -> dict[int, int]:
        """Frame → micro-WU as measured: the agent's CPU time on its benchmark's scale."""
        known = self.benchmarks()
        found: dict[int, int] = {}
        for _, fact in self.said(FramesStored):
            if fact.job == job and fact.agent in known:
                found |= {one.frame: work(one.cpu_micros, known[fact.agent]) for one in fact.frames}
        return found

    def seconds(self, job: str) -> dict[str, tuple[float, int]]:
        """Agent → (wall seconds, micro-WU) of the frames it rendered."""
        known: dict[str, Benchmark] = self.benchmarks()
        found: dict[str, tuple[float, int]] = {}
        for _, fact in self.said(FramesStored):
            if fact.job == job and fact.agent in known:
                wall, wu = found.get(fact.agent, (0.0, 0))
                wall += sum(one.seconds for one in fact.frames)
                wu += sum(work(one.cpu_micros, known[fact.agent]) for one in fact.frames)
                found[fact.agent] = wall, wu
        return found

    def learned(self) -> dict[str, int]:
        """Agent → micro-WU per minute as the scheduler has learned it."""
        return {fact.agent: fact.micro_wu_per_minute for _, fact in self.said(AgentChanged) if fact.micro_wu_per_minute}

    def rendered_twice(self, job: str) -> int:
        """Frames that were rendered in more than one attempt."""
        attempts: dict[int, set[str]] = {}
        for _, fact in self.said(FramesRendered):
            if fact.grant.job == job:
                for one in fact.frames:
                    attempts.setdefault(one.frame, set()).add(fact.grant.attempt)
        return sum(len(found) - 1 for found in attempts.values())

    async def _listen(self) -> None:
        connection = await connect(self._url, "demo witness")
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            for name in (EVENTS, AGENTS):
                await queue.bind(await channel.get_exchange(name, ensure=False), "#")
            await queue.consume(self._take, no_ack=True)
            self._listening.set()
            await asyncio.to_thread(self._stop.wait)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        try:
            fact = read(str(message.type), message.body)
        except NotAnEvent:
            return
        self.hear(str(message.message_id), str(message.routing_key), fact, time.time())

    def hear(self, message: str, key: str, fact: Event, now: float) -> None:
        """One message, however often it comes. `now`: seconds since the epoch."""
        self._heard.setdefault(message, (key, fact))
        if isinstance(fact, FramesStored) and self.first_picture is None:
            self.first_picture = now
