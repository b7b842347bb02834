"""A farm that is killed part by part while it renders one job: who can be killed, what was in flight then, how it comes back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from contracts.events import Event, FramesStored
from contracts.topology import SERVICES
from infra.local import supervision
from infra.local.layout import Layout
from tests.farm.containers import in_hand
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import accepted, submitted
from tests.faults.ear import Ear
from tests.faults.wire import Way, Wire
from tests.integration.world import World
from tests.waiting import until

Cause = Callable[[], object]
TRIES = 10
"""To catch an event on the wire at a moment when a frame is in flight."""
BROKER, DATABASE = "rabbitmq", "mongod"
INFRASTRUCTURE = (BROKER, DATABASE)
CPUS = 0.5
"""Of each agent: what is left of the machine starts again what was killed."""
SETTINGS = {"scheduler": {"FRAMELEND_CHUNK_SECONDS": "8"}, "notifier": {"FRAMELEND_LEASE_SECONDS": "3"}}


@dataclass(frozen=True)
class Kill:
    """What was in flight when: attempt → (its agent, frames assigned to it and not stored)."""

    victim: str
    flying: dict[str, tuple[str, frozenset[int]]]

    def frames(self) -> set[int]:
        return {frame for _, some in self.flying.values() for frame in some}


class Stage:
    """One house agent, two lenders, one renter, one job."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.farm, self.ear = world, Farm(world, folder), Ear(world)
        self.wires = {name: Wire(world.farm.port("AMQP")) for name in SERVICES}
        self.post = Wire(world.farm.port("SMTP"))
        self.store = Wire(world.farm.port("S3"))
        """On which everybody reaches the object store: storage, agents and renters."""
        self.machines: dict[str, dict[str, str]] = {}
        """What is peculiar about an agent's machine: its environment, at every start."""
        self.kills: list[Kill] = []
        self.lenders: list[Account] = []
        self.lent: list[str] = []
        self.house = ""
        self.renter: Account
        self.job = ""

    async def open(self) -> None:
        for wire in (*self.wires.values(), self.post, self.store):
            await wire.open()
        self.farm.operator = self.world.farm["FARM_OPERATOR_KEY"]
        await asyncio.gather(*map(self.start, SERVICES))
        self.house = await self.farm.enrol("operator", "house", house=True)
        self.lenders = [await self.farm.account(name, "lender") for name in ("lena", "leo")]
        self.lent = [await self.farm.enrol(lender.id, f"of-{at}") for at, lender in enumerate(self.lenders)]
        await self.ear.open([self.house, *self.lent])
        await asyncio.gather(*(self.run_agent(agent) for agent in (self.house, *self.lent)))

    async def close(self) -> None:
        for wire in (*self.wires.values(), self.post, self.store):
            await wire.close()

    async def start(self, service: str) -> None:
        """As a supervisor would: the same program with the same settings."""
        wired = self.world.environment(service)["FRAMELEND_AMQP_URL"].replace(
            f":{self.world.farm.port('AMQP')}/", f":{self.wires[service].port}/"
        )
        extra = {"notifier": {"FRAMELEND_SMTP_PORT": str(self.post.port)}, "storage": self._at_the_store()}.get(service, {})
        await self.farm.start(service, FRAMELEND_AMQP_URL=wired, **extra, **SETTINGS.get(service, {}))

    def _at_the_store(self) -> dict[str, str]:
        return {"FRAMELEND_S3_URL": f"http://127.0.0.1:{self.store.port}"}

    async def run_agent(self, agent: str) -> None:
        await self.farm.run_agent(agent, CPUS, **self.machines.get(agent, {}))

    async def rent(self, scene: Path, frames: str, credits: int = 50) -> None:
        """Up to the accepted quote."""
        self.kills = []
        self.renter = await self.farm.account("rita", credits=credits)
        self.job = await submitted(self.farm, self.renter, scene, frames)
        await accepted(self.farm, self.renter, self.job)

    # --- what is in flight

    def stored(self) -> set[int]:
        return {one.frame for fact in self.ear.said(FramesStored, job=self.job) for one in fact.frames}

    async def flying(self, by: str = "") -> dict[str, tuple[str, frozenset[int]]]:
        """Attempts of the job (of this agent) whose container runs now and that have frames assigned that are not stored."""
        held = await in_hand(self.world, self.job)
        left = {attempt: (agent, some - self.stored()) for attempt, (agent, some) in held.items() if agent.startswith(by)}
        return {attempt: (agent, some) for attempt, (agent, some) in left.items() if some}

    async def _prove(self, victim: str) -> Kill:
        by = victim if victim in self.farm.agents else ""
        flying = await until(lambda: self.flying(by), f"a frame is in flight (before {victim} is killed)", 60)
        kill = Kill(victim, flying)
        assert kill.frames(), "nothing would be lost by this kill"
        self.kills.append(kill)
        return kill

    # --- kills

    async def kill(self, *victims: str) -> None:
        """kill -9 of all of them within a moment, with a frame in flight; returns when they are back and the farm has stored a
        frame since."""
        for victim in victims:
            await self._prove(victim)
        for victim in victims:
            if victim in INFRASTRUCTURE:
                await asyncio.to_thread(supervision.kill, Layout.of(), victim)
            else:
                (self.farm.services | self.farm.agents)[victim].kill()
        await self._back(*victims)

    async def kill_between_save_and_announce(self, service: str, event: type[Event], cause: Cause | None = None) -> None:
        """The service has saved such an event and is killed before it has said it; after that the sweep says it."""
        id = await self._caught(service, event, Way.SAID, cause)
        assert not self.ear.has(id), "it was said after all"
        await self._back(service)
        await until(lambda: self._is_cleared(service, id), "the sweep says what was saved", 60)

    async def kill_between_announce_and_ack(self, service: str, event: type[Event], cause: Cause | None = None) -> None:
        """The service has said a saved event and is killed before it knows so, and so before it acks what caused the event."""
        id = await self._caught(service, event, Way.ANSWERED, cause)
        assert self.ear.has(id), "it was not said"
        await self._back(service)

    async def kill_while_a_letter(self, way: Way, letter: Event) -> None:
        """The notifier is killed with a letter on the wire to the mail server (SAID), or taken there without its knowing
        (ANSWERED). `letter`: what billing says to make it write."""
        self.post.hold("", "Message-ID", way)
        await self.world.say("billing", letter)
        await until(self.post.holds, "a letter is on the wire", 60)
        await self._prove(f"notifier, letter held as {way}")
        self.farm.services["notifier"].kill()
        await self.post.cut()
        await self._back("notifier")

    async def _caught(self, service: str, event: type[Event], way: Way, cause: Cause | None) -> str:
        """Kills the service when such an event is on the wire, or its confirm is. `cause` makes the service say it and fails
        with the service."""
        wire, causing = self.wires[service], None
        for _ in range(TRIES):
            await until(self.flying, "a frame is in flight", 60)
            wire.hold(service, event.key(), way)
            causing = asyncio.create_task(asyncio.to_thread(cause)) if cause else None
            await until(wire.holds, f"{service} says {event.__name__}", 60)
            id = await until(lambda: self._kept(service, event, said=way is Way.ANSWERED), "it is saved", 9)
            if await self.flying():
                break
            await wire.cut()  # all agents were waiting for just this event: the next time, then
        await self._prove(f"{service}, {event.__name__} held as {way}")
        self.farm.services[service].kill()
        await wire.cut()
        if causing is not None:
            await asyncio.gather(causing, return_exceptions=True)
        assert id in await self.pending(service), "the service has taken it back"
        return id

    async def _back(self, *victims: str) -> None:
        before = self.stored()
        for victim in victims:
            if victim in self.farm.services:
                await self.start(victim)
            elif victim in self.farm.agents:
                await self.run_agent(victim)
        for process in (*self.farm.services.values(), *self.farm.agents.values()):
            await until(partial(asyncio.to_thread, process.healthy), f"{process.name} is healthy again", 90)
        await until(lambda: self.stored() > before, f"a frame is stored after {', '.join(victims)} was killed", 90)

    # --- what is saved and not told

    async def pending(self, service: str) -> dict[str, dict[str, Any]]:
        """Events of the service that are saved and not cleared, by message id."""
        database, found = self.world.database(service), {}
        for name in await database.list_collection_names():
            async for document in database[name].find({"pending.0": {"$exists": True}}, {"pending": 1}):
                found.update({entry["id"]: entry for entry in document["pending"]})
        return found

    async def _is_cleared(self, service: str, id: str) -> bool:
        """Only what the broker has confirmed is cleared (perhaps as part of one event that says the same as several)."""
        return id not in await self.pending(service)

    async def _kept(self, service: str, event: type[Event], said: bool) -> str:
        """A saved event that was said (or was not), old enough that nothing about it is still on its way."""
        entries = (await self.pending(service)).values()
        old = datetime.now(UTC) - timedelta(seconds=0.5)
        kept = (one["id"] for one in entries if one["key"] == event.key() and one["at"] < old)
        return next((id for id in kept if self.ear.has(id) is said), "")
