"""How many frames billing charges, with storage verifying their pictures first and without.

Real services, broker, database and store. Without pictures `FramesStored` is said as storage; with them agents' `FramesCompleted`
starts it, their PNGs having been put into the store before. One frame a message, as from frames slower than their upload.
The other subscribers of these events do not run: their copies wait in their queues.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiormq

from contracts.bus import new_id
from contracts.events import FramesStored, StoredFrame
from contracts.values import Kind
from tests.bench.enrolled import a_swarm
from tests.bench.ground import AS_IN_PRODUCTION, a_world, number, repeats
from tests.bench.held import BUNDLE, held_jobs
from tests.bench.lenders import Lenders, pictures
from tests.bench.report import Row, publish, row
from tests.bench.usage import INFRASTRUCTURE, STORE, Usage, since, usage
from tests.bench.voice import Voice
from tests.integration.world import Process, World
from tests.waiting import until

AGENTS, JOBS, TURNS = 100, 10, 5
TOLD, DELIVERED = number("BENCH_FRAMES", 2_000), number("BENCH_PICTURES", 200)
"""Frames of one turn, without pictures and with."""
LOOKS = 32
"""Different pictures."""
IN_FLIGHT = 200
"""Messages that the senders have under way to the broker at once."""
Say = Callable[[], Coroutine[None, None, None]]
MEASURE, SUFFIX = "frames settled per second, no pictures", ", no pictures"
HOW_TOLD = f"{AGENTS} agents, {JOBS} jobs, turns of {TOLD} frames, one a message; charged, and made payable a second later"
HOW_DELIVERED = f"PNGs of 480x270, 0.2 MB, read, hashed, decoded, kept with a thumbnail, told, charged; turns of {DELIVERED}"


@dataclass
class Found:
    rates: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    """CPU milliseconds per frame by process, of each turn."""

    def rows(self, measure: str, suffix: str, note: str) -> list[Row]:
        spent = [row(f"CPU per frame{suffix}, {name}", "ms", [one[name] for one in self.cpu]) for name in self.cpu[0]]
        whole = row(f"CPU per frame{suffix}, all", "ms", [sum(one.values()) for one in self.cpu])
        return [row(measure, "1/s", self.rates, better="higher", note=note), *spent, whole]


@dataclass(frozen=True)
class Ledger:
    world: World
    jobs: Sequence[str]

    async def charges(self) -> int:
        return int(await self._postings.count_documents({"job": {"$in": list(self.jobs)}, "kind": "charge"}))

    async def check(self, frames: int) -> None:
        """One charge per frame, and every credit that one account lost another has."""
        group = {"_id": None, "charges": {"$sum": 1}, "frames": {"$addToSet": {"job": "$job", "frame": "$frame"}}}
        stages = [{"$match": {"kind": "charge"}}, {"$group": group}]
        (found,) = await self._postings.aggregate(stages, allowDiskUse=True).to_list(None)
        assert found["charges"] == len(found["frames"]) == frames, f"{found['charges']} charges for {frames} frames"
        total = [{"$unwind": "$legs"}, {"$group": {"_id": None, "sum": {"$sum": "$legs.amount"}}}]
        (ledger,) = await self._postings.aggregate(total).to_list(None)
        assert ledger["sum"] == 0, f"the ledger sums to {ledger['sum']}"

    @property
    def _postings(self) -> Any:
        return self.world.database("billing")["postings"]


async def main() -> None:
    turns = repeats(TURNS)
    async with a_world() as world:
        processes = await started(world, "billing", "storage")
        delivered = await settle_delivered(world, usage(processes, INFRASTRUCTURE | STORE), turns)
    async with a_world() as world:
        told = await settle_told(world, usage(await started(world, "billing")), turns)
    publish(
        "settlement", [*delivered.rows("frames settled per second", "", HOW_DELIVERED), *told.rows(MEASURE, SUFFIX, HOW_TOLD)]
    )


async def started(world: World, *names: str) -> dict[str, Process]:
    bucket = {"storage": {"FRAMELEND_S3_BUCKET": f"bench-{world.token}"}}
    return {name: await world.start(name, **AS_IN_PRODUCTION, **bucket.get(name, {})) for name in names}


async def settle_told(world: World, used: Usage, turns: int) -> Found:
    """Storage's word starts it."""
    agents = (await a_swarm(world, AGENTS)).names
    jobs = await _jobs(world, TOLD * (turns + 1), agents[0])
    connection = await aiormq.connect(world.farm.amqp_url("storage", world.farm["FARM_STORAGE_AMQP_PASSWORD"], world.vhost))
    voice = Voice(await connection.channel(publisher_confirms=True), "storage")
    found, ledger = Found(), Ledger(world, jobs)
    try:
        for turn in range(turns + 1):
            words = [_stored(agents, jobs, turn * TOLD + at) for at in range(TOLD)]
            await _turn(found, ledger, used, [partial(voice.say, word) for word in words])
    finally:
        await connection.close()
    await ledger.check(TOLD * (turns + 1))
    return found


async def settle_delivered(world: World, used: Usage, turns: int) -> Found:
    """Agents' words start it; the pictures were put into the store before."""
    swarm = await a_swarm(world, AGENTS)
    jobs = await _jobs(world, DELIVERED * (turns + 1), swarm.names[0])
    lenders = Lenders(swarm.url, swarm.names, bytes.fromhex(world.farm["FARM_GRANT_KEY"]))
    found, ledger = Found(), Ledger(world, jobs)
    try:
        await lenders.open()
        looks = await asyncio.to_thread(pictures, LOOKS)
        for turn in range(turns + 1):
            places = [_place(jobs, turn * DELIVERED + at) for at in range(DELIVERED)]
            staged = await lenders.stage(places, looks)
            await _turn(found, ledger, used, [partial(lenders.complete, one) for one in staged])
    finally:
        await lenders.close()
    await ledger.check(DELIVERED * (turns + 1))
    return found


async def _jobs(world: World, frames: int, agent: str) -> list[str]:
    return await held_jobs(world, JOBS, frames // JOBS + 1, agent)


def _place(jobs: Sequence[str], number: int) -> tuple[str, int]:
    return jobs[number % len(jobs)], number // len(jobs) + 1


def _stored(agents: Sequence[str], jobs: Sequence[str], number: int) -> FramesStored:
    job, frame = _place(jobs, number)
    picture = StoredFrame(
        frame=frame, file_sha256=BUNDLE, pixel_sha256=BUNDLE, bytes=200_000, cpu_micros=2_000_000, seconds=1.0,
        key=f"frames/{job}/{frame}-{BUNDLE}.png", thumbnail_key=f"thumbnails/{job}/{frame}-{BUNDLE}.webp",
    )  # fmt: skip
    return FramesStored(
        job=job, chunk=f"chunk-{number}", attempt=new_id(), agent=agents[number % len(agents)], kind=Kind.RENDER,
        generation=0, version=1, frames=(picture,),
    )  # fmt: skip


async def _turn(found: Found, ledger: Ledger, used: Usage, words: Sequence[Say]) -> None:
    """From the first word to the last charge. The very first turn warms and does not count."""
    before, spent = await ledger.charges(), used.cpu()
    began = time.monotonic()
    await asyncio.gather(_said(words), _charged(ledger, before + len(words)))
    took = time.monotonic() - began
    if before:
        found.rates.append(len(words) / took)
        found.cpu.append({name: 1000 * seconds / len(words) for name, seconds in since(spent, used.cpu()).items()})


async def _said(words: Sequence[Say]) -> None:
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def one(say: Say) -> None:
        async with turns:
            await say()

    await asyncio.gather(*(one(say) for say in words))


async def _charged(ledger: Ledger, wanted: int) -> None:
    async def all_there() -> bool:
        await asyncio.sleep(0.1)
        return await ledger.charges() >= wanted

    await until(all_there, f"{wanted} charges", 300)
