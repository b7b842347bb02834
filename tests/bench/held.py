"""Jobs whose price is accepted and held, as billing sees them come to that: only their frames are still to be paid."""

import asyncio
from collections.abc import Sequence

from contracts.bus import new_id
from contracts.events import (
    AccountOpened,
    CreditsOrdered,
    JobEstimated,
    JobSubmitted,
    QuoteAccepted,
    SampledWork,
    SamplingMeasured,
)
from contracts.values import MICRO, Band, Curve, FrameRange, Kind, Knot
from tests.integration.world import World
from tests.waiting import until

BUNDLE = "b0" * 32
RICH = 100_000 * MICRO
WU = 2 * MICRO


async def held_jobs(world: World, number: int, frames: int, agent: str) -> list[str]:
    """Each of a renter of its own; `agent` was enrolled and has inspected them."""
    jobs = [f"job-{new_id()}" for _ in range(number)]
    await asyncio.gather(*(_offered(world, job, frames, agent) for job in jobs))
    await until(lambda: _are(world, jobs, {"offer.state": "open"}), "every job has a price", 60)
    await asyncio.gather(*(world.say("intake", QuoteAccepted(job=job, account=renter(job), version=1)) for job in jobs))
    await until(lambda: _are(world, jobs, {"stage": "held"}), "every price is held", 60)
    return jobs


def renter(job: str) -> str:
    return f"renter-{job.removeprefix('job-')}"


async def _are(world: World, jobs: Sequence[str], query: dict[str, object]) -> bool:
    return bool(await world.database("billing")["jobs"].count_documents({"_id": {"$in": list(jobs)}, **query}) == len(jobs))


async def _offered(world: World, job: str, frames: int, agent: str) -> None:
    account, band = renter(job), Band(low=WU * frames, expected=WU * frames, high=WU * frames)
    all_frames = (FrameRange(first=1, last=frames),)
    await world.say("intake", AccountOpened(account=account, email=f"{account}@example.org"))
    await world.say("intake", CreditsOrdered(order=new_id(), account=account, amount_micro=RICH, by="operator"))
    submitted = JobSubmitted(
        job=job, account=account, name="a long film", bundle=BUNDLE, bundle_bytes=1_000_000, blend="scene.blend",
        frames=all_frames, price_per_wu_micro=10_000,
    )  # fmt: skip
    await _rich(world, account)
    await world.say("intake", submitted)
    work = SampledWork(attempt=f"inspection-{job}"[:64], agent=agent, kind=Kind.INSPECT, micro_wu=MICRO)
    await world.say("scheduler", SamplingMeasured(job=job, work=(work,)))
    curve = Curve(knots=(Knot(frame=1, micro_wu=WU),))
    estimated = JobEstimated(
        job=job,
        account=account,
        version=1,
        curve=curve,
        frames=all_frames,
        micro_wu=band,
        seconds=Band(low=1, expected=1, high=1),
    )
    await world.say("scheduler", estimated)


async def _rich(world: World, account: str) -> None:
    """The deposit is decided once: the credits must be there."""
    found = world.database("billing")["accounts"]
    await until(lambda: found.find_one({"_id": account, "available_micro": RICH}), f"{account} has credits")
