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

Trial = Callable[[Hiccups], Awaitable[object]]


async def _lived_through(stage: Stage, scenes: Path, frames: range, *trials: Trial) -> None:
    """One after the other, on one job."""
    hiccups = Hiccups(stage, SmallDisk())
    try:
        await hiccups.begin(stage.rent(scenes / "bench_1s", f"{frames[0]}-{frames[-1]}"))
        for trial in trials:
            await trial(hiccups)
        job = await settled(stage.farm, stage.renter, stage.job, seconds=480)
        assert job.state == "completed", job.reason
        assert rendered_again(stage) == {}
        await all_is_well(stage, set(frames))
    finally:
        await hiccups.end()


async def _an_agent_dies_mid_upload(hiccups: Hiccups) -> None:
    await hiccups.agent_dies_mid_upload(Way.SAID)
    await hiccups.agent_dies_mid_upload(Way.ANSWERED)


@pytest.mark.timeout(900)
async def test_whatever_goes_wrong_at_a_lenders_no_frame_is_rendered_twice_or_lost(stage: Stage, scenes: Path) -> None:
    async def the_network_is_away(hiccups: Hiccups) -> None:
        """The broker for as long as it takes to start again, the store a while longer."""
        await asyncio.gather(hiccups.broker_restarts(), hiccups.store_is_away(15))

    await _lived_through(
        stage, scenes, range(1, 45), the_network_is_away, _an_agent_dies_mid_upload, Hiccups.disk_is_full
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_a_store_that_is_away_for_a_minute_makes_nobody_render_anything_again(stage: Stage, scenes: Path) -> None:
    await _lived_through(
        stage, scenes, range(1, 73),
        Hiccups.broker_restarts, _an_agent_dies_mid_upload, Hiccups.disk_is_full, lambda hiccups: hiccups.store_is_away(60),
    )  # fmt: skip
