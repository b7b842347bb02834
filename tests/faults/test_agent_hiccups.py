"""A job at lenders' where everything goes wrong that may: no frame is rendered twice for it, none lost, each paid once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.farm.renting import settled
from tests.faults.afterwards import all_is_well, rendered_again
from tests.faults.hiccups import Hiccups
from tests.faults.small_disk import SmallDisk
from tests.faults.stage import Stage
from tests.faults.wire import Way

Ends = Callable[[Hiccups], Awaitable[object]]


async def _lived_through(stage: Stage, scenes: Path, frames: range, ends: Ends) -> None:
    """`ends`: what goes wrong last, with the disk and the store."""
    hiccups = Hiccups(stage, SmallDisk())
    await hiccups.begin()
    try:
        await stage.rent(scenes / "bench_1s", f"{frames[0]}-{frames[-1]}")
        await hiccups.broker_restarts()
        await hiccups.agent_dies_mid_upload(Way.SAID)
        await hiccups.agent_dies_mid_upload(Way.ANSWERED)
        await ends(hiccups)
        job = await settled(stage.farm, stage.renter, stage.job, seconds=480)
        assert job.state == "completed", job.reason
        assert rendered_again(stage) == {}
        await all_is_well(stage, set(frames))
    finally:
        await hiccups.end()


@pytest.mark.timeout(900)
async def test_whatever_goes_wrong_at_a_lenders_no_frame_is_rendered_twice_or_lost(stage: Stage, scenes: Path) -> None:
    async def at_once(hiccups: Hiccups) -> None:
        await asyncio.gather(hiccups.disk_is_full(), hiccups.store_is_away(15))

    await _lived_through(stage, scenes, range(1, 53), at_once)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_a_store_that_is_away_for_a_minute_makes_nobody_render_anything_again(stage: Stage, scenes: Path) -> None:
    async def one_after_the_other(hiccups: Hiccups) -> None:
        await hiccups.disk_is_full()
        await hiccups.store_is_away(60)

    await _lived_through(stage, scenes, range(1, 73), one_after_the_other)
