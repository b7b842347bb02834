"""Pause, resume and cancel in the middle of real renders: containers stop, what is finished is kept and paid, once."""

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from framelend import Client, FarmProblem, Job, fetching

from contracts.bus import new_id
from contracts.events import Action, FramesSealed, FramesStored, JobCancelled, JobControlled, JobSettled, JobSubmitted
from contracts.values import FrameRange, frames
from services.billing.domain.charging import ON_FRAMES
from services.billing.repository.postings import read
from tests.farm.containers import in_hand, running
from tests.farm.farmhouse import Account, Farm
from tests.farm.renting import accepted, settled, submitted
from tests.scenes.pixels import pixel_sha256
from tests.waiting import until

STOP_SECONDS = 20
"""Agents stop containers within 2 s; ten times that on a machine that is busy with other things."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lent(house: Farm) -> Farm:
    """The farm with a lender's agent."""
    lender = await house.account("lena", "lender")
    await house.lend(lender.id, "lena", cpus=1)
    return house


async def test_a_paused_job_stops_at_once_and_a_resumed_one_pays_each_frame_once(lent: Farm, scenes: Path) -> None:
    renter, job = await _under_way(lent, scenes, "1-12")
    with lent.client(renter) as client:
        client.pause(job)
        await until(lambda: _stands_still(lent, job), "no container of the paused job runs", STOP_SECONDS)
        await lent.state_of(client, job, "paused")
        kept = _stored(lent, job)
        assert 2 <= len(kept) < 12, "some are finished and some are not"
        assert not await in_hand(lent.world, job)
        client.resume(job)
    await lent.world.say("intake", _control(job, renter, 1, Action.PAUSE))
    done = await settled(lent, renter, job)
    assert done.state == "completed", done.reason
    assert _stored(lent, job) >= kept
    await _paid_once(lent, done, set(range(1, 13)))


async def test_a_cancelled_job_is_sealed_and_settled_and_its_frames_stay_the_renters(
    lent: Farm, scenes: Path, tmp_path: Path
) -> None:
    renter, job = await _under_way(lent, scenes, "1-16")
    with lent.client(renter) as client:
        client.cancel(job)
        await until(lambda: _stands_still(lent, job), "no container of the cancelled job runs", STOP_SECONDS)
        done = await settled(lent, renter, job)
        assert done.state == "cancelled", done.reason
        sealed = set(frames((await lent.world.hear(FramesSealed, job=job)).frames))
        assert 2 <= len(sealed) < 16
        await _paid_once(lent, done, sealed)
        names = [f"frames/{frame}" for frame in sorted(sealed)]
        got = await asyncio.to_thread(fetching.fetch, client, job, names, tmp_path, lambda path, size: None)
        stored = {one.frame: one.pixel_sha256 for fact in lent.world.said(FramesStored, job=job) for one in fact.frames}
        assert [pixel_sha256(path) for path in sorted(got)] == [stored[frame] for frame in sorted(sealed)]
        with pytest.raises(FarmProblem, match="cannot be changed any more"):
            client.resume(job)


async def test_an_emergency_stop_ends_every_container_and_the_farm_goes_on_when_it_is_resumed(lent: Farm, scenes: Path) -> None:
    """Meanwhile the renter leaves a frame out, which is neither rendered nor charged."""
    renter, job = await _under_way(lent, scenes, "1-12")
    with Client(lent.url, lent.operator) as operator, lent.client(renter) as client:
        try:
            operator.order_farm("stop")
            await until(lambda: _stands_still(lent, job), "no container runs in a stopped farm", STOP_SECONDS)
            left = max(set(range(1, 13)) - _stored(lent, job))
            assert client.skip(job, str(left)).left_out == str(left)
            assert "stopped by its operator" in client.skip(job, str(left)).notice
        finally:
            operator.order_farm("resume")
    done = await settled(lent, renter, job)
    assert done.state == "completed", done.reason
    await _paid_once(lent, done, set(range(1, 13)) - {left})
    chunks = await lent.world.database("scheduler")["chunks"].find({"job": job}).to_list(None)
    assert not [one for chunk in chunks for one in chunk["tries"]], "a stop is nobody's fault"


async def test_a_cancel_that_comes_before_its_job_ends_it_and_costs_nothing(lent: Farm) -> None:
    renter, job = await lent.account("rita", credits=5), new_id()
    await lent.world.say("intake", _control(job, renter, 1, Action.CANCEL))
    asked = JobSubmitted(
        job=job, account=renter.id, name="early", bundle="ab" * 32, bundle_bytes=1_000, blend="scene.blend",
        frames=(FrameRange(first=1, last=4),), price_per_wu_micro=10_000,
    )  # fmt: skip
    await lent.world.say("intake", asked)
    await lent.world.hear(JobCancelled, job=job)
    bill = await lent.world.hear(JobSettled, job=job, seconds=30)
    assert (bill.charged_micro, bill.outcome) == (0, "cancelled")
    assert await until(lambda: _balances(lent, renter) == (Decimal(5), Decimal(0)), "the deposit is back")


async def _under_way(farm: Farm, scenes: Path, which: str) -> tuple[Account, str]:
    """A job with some frames finished and a container at work on others."""
    renter = await farm.account("rita", credits=20)
    job = await submitted(farm, renter, scenes / "bench_1s", which)
    await accepted(farm, renter, job, seconds=240)
    await until(lambda: in_hand(farm.world, job), "a container renders frames of the job", 90)
    return renter, job


async def _stands_still(farm: Farm, job: str) -> bool:
    return not await running(farm.world, job)


def _stored(farm: Farm, job: str) -> set[int]:
    return {one.frame for fact in farm.world.said(FramesStored, job=job) for one in fact.frames}


def _control(job: str, renter: Account, revision: int, action: Action) -> JobControlled:
    return JobControlled(job=job, account=renter.id, revision=revision, action=action, by=renter.id)


async def _paid_once(farm: Farm, job: Job, wanted: set[int]) -> None:
    """Every frame was stored once and is charged once; what was held and not charged is back."""
    stored = Counter(one.frame for fact in farm.world.said(FramesStored, job=job.id) for one in fact.frames)
    assert stored == Counter(wanted)
    postings = [read(one) async for one in farm.world.database("billing")["postings"].find({"job": job.id})]
    undone = {one.reverses for one in postings}
    assert Counter(one.frame for one in postings if one.kind in ON_FRAMES and one.key not in undone) == Counter(wanted)
    assert job.settlement is not None
    assert job.settlement.held == job.settlement.charged + job.settlement.released
    assert sum((line.amount for line in job.settlement.lines), Decimal()) == job.settlement.charged


def _balances(farm: Farm, account: Account) -> tuple[Decimal, Decimal]:
    with farm.client(account) as client:
        found = client.account().balances
    return found.available, found.held
