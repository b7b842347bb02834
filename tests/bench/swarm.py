"""A thousand agents that do not render: they say, take and answer what real ones do, over a few connections of one user.

That user carries the broker's tag `impersonator`, so every message bears its agent's own user id and key; mailboxes and documents
are those of enrolled agents. What they are given is checked as it comes: signed by the farm, theirs, nobody else's at that time.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import aiormq
from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.channel import Channel

from contracts.bus import new_id
from contracts.events import AgentPulse, AgentReady, AttemptInHand, ChunkAssigned, ChunkCompleted, Event
from contracts.grants import Grant, is_good
from contracts.topology import mailbox
from contracts.values import Benchmark, Hardware, Kind
from contracts.work import BENCHMARK_MICRO_WU
from services.chassis.arrivals import Answers
from tests.bench.chorus import Chorus
from tests.waiting import until

CONNECTIONS = 8
PULSE_SECONDS = 10
TICK_SECONDS = 0.01
"""What is due within it is said at its end, and has waited since it was due."""
GIB = 1 << 30
Answer = Callable[["Machine", Grant], Awaitable[None]]


@dataclass
class Machine:
    """One simulated agent with one slot."""

    agent: str
    channel: Channel
    voice: Chorus
    answers: Answers
    run: str = field(default_factory=new_id)
    holds: Grant | None = None
    asked_at: float = 0.0

    def say(self, event: Event) -> None:
        self.voice.say(event, self.agent)


@dataclass
class Tally:
    """What has come to the agents; `wrong` lists broken promises."""

    assigned: int = 0
    repeated: int = 0
    waits: list[float] = field(default_factory=list)
    """Seconds from asking (or from when it was due) to the assignment."""
    attempts: dict[str, str] = field(default_factory=dict)
    """Attempt → its agent."""
    chunks: dict[str, str] = field(default_factory=dict)
    """Chunk → the agent that holds it now."""
    wrong: list[str] = field(default_factory=list)


class Swarm:
    """`url` is of the user that may speak for all of them."""

    def __init__(self, url: str, agents: list[str], keys: dict[str, bytes], image: str) -> None:
        self.url, self.names, self._keys, self._image = url, agents, keys, image
        self.machines: dict[str, Machine] = {}
        self.tally = Tally()
        self.others: dict[Kind, Answer] = {}
        """What to do with assignments that are not for rendering."""
        self._connections: list[AbstractConnection] = []
        self._holding: asyncio.Queue[Machine] = asyncio.Queue()
        self._at_once = False
        self._pulsing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connects, listens at every mailbox, begins to pulse, says that everybody is ready."""
        choirs = [Chorus(await self._lane(), self.tally.wrong.append) for _ in range(CONNECTIONS)]
        answers = [Answers(choir.channel) for choir in choirs]
        for number, agent in enumerate(self.names):
            voice, mine = choirs[number % CONNECTIONS], answers[number % CONNECTIONS]
            machine = Machine(agent, voice.channel, voice, mine)
            self.machines[agent] = machine
            await machine.channel.basic_consume(mailbox(agent), self._taker(machine))
        self._pulsing = asyncio.create_task(self._pulse())
        for machine in self.machines.values():
            self.ready(machine)

    async def _lane(self) -> Channel:
        connection = await aiormq.connect(self.url)
        self._connections.append(connection)
        channel = cast(Channel, await connection.channel(publisher_confirms=True))
        await channel.basic_qos(prefetch_count=0)
        return channel

    async def close(self) -> None:
        if self._pulsing is not None:
            self._pulsing.cancel()
            await asyncio.gather(self._pulsing, return_exceptions=True)
        for connection in self._connections:
            await connection.close()

    # --- what they say

    def ready(self, machine: Machine) -> None:
        machine.asked_at = time.monotonic()
        benchmark = Benchmark(cpu_micros=BENCHMARK_MICRO_WU, wall_micros=BENCHMARK_MICRO_WU)
        # a sample is brought at once, and counts for no more CPU time than its cores could give it meanwhile
        hardware = Hardware(cores=256, memory_bytes=8 * GIB, system="simulated")
        machine.say(AgentReady(run=machine.run, slots=1, hardware=hardware, benchmark=benchmark, images=(self._image,)))

    def complete(self, machine: Machine, asked_at: float | None = None) -> None:
        """Says that the chunk in hand is done, which asks for the next one."""
        grant, machine.holds = machine.holds, None
        assert grant is not None
        self.tally.chunks.pop(grant.chunk, None)
        machine.asked_at = time.monotonic() if asked_at is None else asked_at
        machine.say(ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))

    async def _pulse(self) -> None:
        """Each agent once in ten seconds, evenly spread, as they would after starting at random."""
        machines = list(self.machines.values())
        random.Random(1).shuffle(machines)  # spreading, not secrecy
        while True:
            began = time.monotonic()
            for number, machine in enumerate(machines):
                await asyncio.sleep(max(0.0, began + number * PULSE_SECONDS / len(machines) - time.monotonic()))
                machine.say(AgentPulse(run=machine.run, attempts=_in_hand(machine)))
            await asyncio.sleep(max(0.0, began + PULSE_SECONDS - time.monotonic()))

    # --- what they are given

    def _taker(self, machine: Machine) -> Callable[[DeliveredMessage], Coroutine[None, None, None]]:
        async def take(message: DeliveredMessage) -> None:
            now = time.monotonic()
            assert message.delivery_tag is not None
            machine.answers.done(message.delivery_tag)
            if message.header.properties.message_type == ChunkAssigned.key():
                await self._assigned(machine, ChunkAssigned.model_validate_json(message.body).grant, now)
            else:
                self.tally.wrong.append(f"{machine.agent} was told {message.header.properties.message_type}")

        return take

    async def _assigned(self, machine: Machine, grant: Grant, now: float) -> None:
        if self.tally.attempts.get(grant.attempt) == machine.agent:  # said again, perhaps after it was finished
            self.tally.repeated += 1
            return
        self._check(machine, grant)
        machine.holds = grant
        if grant.kind is not Kind.RENDER:
            return await self.others[grant.kind](machine, grant)
        self.tally.assigned += 1
        self.tally.waits.append(now - machine.asked_at)
        if self._at_once:
            self.complete(machine)
        else:
            self._holding.put_nowait(machine)

    def _check(self, machine: Machine, grant: Grant) -> None:
        tally = self.tally
        if not is_good(grant, self._keys, datetime.now(UTC)) or grant.agent != machine.agent:
            tally.wrong.append(f"{machine.agent} got a bad grant")
        if machine.holds is not None:
            tally.wrong.append(f"{machine.agent} has one slot and was given a second chunk")
        if grant.attempt in tally.attempts:
            tally.wrong.append(f"attempt {grant.attempt} was given to another as well")
        if grant.chunk in tally.chunks:
            tally.wrong.append(f"chunk {grant.chunk} is held by {tally.chunks[grant.chunk]} and {machine.agent}")
        tally.attempts[grant.attempt] = tally.chunks[grant.chunk] = machine.agent

    # --- how they work

    @asynccontextmanager
    async def closed_loop(self) -> AsyncIterator[None]:
        """Meanwhile everybody completes at once and asks again; afterwards everybody that was given something holds it."""
        self._at_once = True
        while not self._holding.empty():
            self.complete(self._holding.get_nowait())
        yield
        self._at_once = False

    async def working(self, seconds: float) -> float:
        """Lets them work; how long it really was."""
        began = time.monotonic()
        await asyncio.sleep(seconds)
        return time.monotonic() - began

    async def open_loop(self, rate: float, seconds: float) -> tuple[int, float]:
        """So many chunks are completed per second, whether or not the answers keep up: waits count from when one was due.
        Returns how many were, and in how many seconds: more than asked for when no agent had anything to complete. Given up after
        one and a half times `seconds`."""
        began, wanted = time.monotonic(), int(rate * seconds)
        for number in range(wanted):
            due = began + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(max(early, TICK_SECONDS))
            elif -early > seconds / 2:
                return number, time.monotonic() - began
            machine = await self._holding.get()
            self.complete(machine, due)
        return wanted, time.monotonic() - began

    async def all_hold(self, within: float = 90) -> None:
        """Waits until every lender's agent has a chunk."""
        lenders = [machine for machine in self.machines.values() if not machine.agent.startswith("house")]
        await until(lambda: all(machine.holds for machine in lenders), "every agent has a chunk in hand", within)


def _in_hand(machine: Machine) -> tuple[AttemptInHand, ...]:
    grant = machine.holds
    return () if grant is None else (AttemptInHand(attempt=grant.attempt, chunk=grant.chunk, job=grant.job),)
