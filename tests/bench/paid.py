"""Brings jobs to the point where only rendering is left, by the same events that bring real ones there."""

import asyncio
from datetime import UTC, datetime, timedelta

from contracts.bus import new_id
from contracts.events import (
    ChunkCompleted,
    CreditsHeld,
    DepositHeld,
    FramesStored,
    InspectionReported,
    JobQuoted,
    JobSubmitted,
    SceneFacts,
    StoredFrame,
)
from contracts.grants import Grant
from contracts.values import MICRO, Band, FrameRange, Kind
from tests.bench.swarm import Answer, Machine, Swarm
from tests.integration.world import World
from tests.waiting import until

HASH = "5e" * 32


async def paid_jobs(world: World, swarm: Swarm, number: int, frames: int) -> list[str]:
    """Submitted, inspected by the house agent, sampled, quoted and paid for; the scheduler has seen each step."""
    swarm.others = {Kind.INSPECT: _surveyed(frames), Kind.SAMPLE: _sampled(world)}
    jobs = [f"job-{new_id()}" for _ in range(number)]
    await asyncio.gather(*(_submit(world, job, frames) for job in jobs))
    await until(lambda: _are(world, jobs, {"version": 1}), "every job is estimated", 120)
    await asyncio.gather(*(_pay(world, job) for job in jobs))
    await until(lambda: _are(world, jobs, {"state": {"$in": ["queued", "rendering"]}}), "every job is paid for", 60)
    return jobs


def account(job: str) -> str:
    """Each job has a renter of its own."""
    return f"renter-{job.removeprefix('job-')}"


async def _are(world: World, jobs: list[str], query: dict[str, object]) -> bool:
    return bool(await world.database("scheduler")["jobs"].count_documents({"_id": {"$in": jobs}, **query}) == len(jobs))


async def _submit(world: World, job: str, frames: int) -> None:
    asked = JobSubmitted(
        job=job,
        account=account(job),
        name="a long film",
        bundle=HASH,
        bundle_bytes=1_000_000,
        blend="scene.blend",
        frames=(FrameRange(first=1, last=frames),),
        price_per_wu_micro=10_000,
    )
    await world.say("intake", asked)
    held = DepositHeld(job=job, account=account(job), amount_micro=10 * MICRO, micro_wu_limit=600 * MICRO)
    await world.say("billing", held)


async def _pay(world: World, job: str) -> None:
    band = Band(low=1, expected=1, high=1)
    until_then = datetime.now(UTC) + timedelta(hours=1)
    quote = JobQuoted(
        job=job, account=account(job), version=1, price_micro=MICRO, lines=(), micro_wu=band, seconds=band, expires_at=until_then
    )
    await world.say("billing", quote, CreditsHeld(job=job, account=account(job), version=1, amount_micro=MICRO))


def _surveyed(frames: int) -> Answer:
    facts = SceneFacts(
        blender_version="5.0.1",
        engine="CYCLES",
        cameras=("camera",),
        frame_start=1,
        frame_end=frames,
        width=480,
        height=270,
        samples=16,
    )

    async def answer(machine: Machine, grant: Grant) -> None:
        machine.say(InspectionReported(grant=grant, facts=facts, cpu_micros=300_000))
        await _done(machine, grant)

    return answer


def _sampled(world: World) -> Answer:
    async def answer(machine: Machine, grant: Grant) -> None:
        await world.say("storage", stored(grant, cpu_micros=MICRO, seconds=1.0))
        await _done(machine, grant)

    return answer


async def _done(machine: Machine, grant: Grant) -> None:
    machine.holds = None
    machine.say(ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))


def stored(grant: Grant, cpu_micros: int, seconds: float = 0.0) -> FramesStored:
    """What storage would say of all frames of this grant."""
    pictures = tuple(
        StoredFrame(
            frame=frame,
            file_sha256=HASH,
            pixel_sha256=HASH,
            bytes=100_000,
            cpu_micros=cpu_micros,
            seconds=seconds,
            key=f"jobs/{grant.job}/frames/{frame:06d}.png",
            thumbnail_key=f"jobs/{grant.job}/thumbnails/{frame:06d}.webp",
        )
        for span in grant.frames
        for frame in span
    )
    return FramesStored(
        job=grant.job, chunk=grant.chunk, attempt=grant.attempt, agent=grant.agent, kind=grant.kind,
        generation=grant.generation, version=grant.version, frames=pictures,
    )  # fmt: skip
