"""kill -9 of every part of the farm under one job, each time with a frame provably in flight."""

from pathlib import Path

import pytest

from contracts.events import FramesStored
from tests.farm.renting import settled
from tests.faults.afterwards import all_is_well
from tests.faults.stage import BROKER, DATABASE, Stage

FRAMES = range(1, 45)


@pytest.mark.timeout(900)
async def test_a_job_survives_the_death_of_every_part_and_each_frame_is_stored_and_paid_once(stage: Stage, scenes: Path) -> None:
    await stage.rent(scenes / "bench_1s", f"{FRAMES[0]}-{FRAMES[-1]}")
    await stage.kill("notifier", "intake", "billing")
    await stage.kill("scheduler")
    await stage.kill("storage")
    await stage.kill_between_save_and_announce("storage", FramesStored)
    await stage.kill(stage.lent[0])
    await stage.kill(BROKER)
    await stage.kill(DATABASE)
    job = await settled(stage.farm, stage.renter, stage.job, seconds=480)
    assert job.state == "completed", job.reason
    assert len(stage.kills) == 9
    await all_is_well(stage, set(FRAMES))
    lost = next(kill for kill in stage.kills if kill.victim == stage.lent[0])
    assert _rendered_elsewhere(stage, lost.flying), "what the killed agent had in flight came from another attempt"


def _rendered_elsewhere(stage: Stage, flying: dict[str, tuple[str, frozenset[int]]]) -> set[int]:
    by = {one.frame: fact.attempt for fact in stage.ear.said(FramesStored, job=stage.job) for one in fact.frames}
    return {frame for attempt, (_, some) in flying.items() for frame in some if by[frame] != attempt}
