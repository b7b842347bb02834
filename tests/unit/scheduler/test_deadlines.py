"""What the farm says of a deadline before it takes a job, and when one is over."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from contracts.events import (
    Action,
    CreditsHeld,
    DeadlineMissed,
    JobControlled,
    JobEstimated,
    JobRendered,
    JobStateChanged,
    Wishes,
)
from contracts.values import Band, Curve, Feasibility, Knot, Limits, Outlook
from services.scheduler.domain import answers, deadlines
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import ChunkState, JobState
from services.scheduler.sweeps import Promises
from tests.unit.scheduler.builders import NOW, POLICY, WU, a_chunk, a_sampled_job, a_submission, an_agent, later, span
from tests.unit.scheduler.office import Office
from tests.unit.scheduler.test_sampled import put

SPEED = 10 * 60 * WU
"""Ten agents of the reference's speed."""


def due(seconds: float, job: str = "due", last: int = 1000, **changes: Any) -> Job:
    asked = a_submission(job=job, limits=Limits(deadline=later(seconds)))
    band = Band(low=last * WU * 8 // 10, expected=last * WU, high=last * WU * 12 // 10)
    return a_sampled_job(last, **{"job": job, "asked": asked, "micro_wu": band, **changes})


def said(seconds: float, *others: Job, **changes: Any) -> Feasibility:
    job = due(seconds, **changes)
    outlook = deadlines.outlook(job, SPEED, {one.job: one for one in (job, *others)}, NOW, POLICY)
    assert outlook is not None
    return outlook.feasibility


def test_a_thousand_seconds_of_work_on_ten_agents_are_impossible_in_one_minute_tight_in_two_and_feasible_in_ten() -> None:
    assert said(60) is Feasibility.IMPOSSIBLE
    assert said(120) is Feasibility.TIGHT
    assert said(600) is Feasibility.FEASIBLE


def test_what_other_deadlines_need_is_not_promised_twice() -> None:
    other = due(600, "other", last=3000, state=JobState.RENDERING)
    assert said(600, other) is Feasibility.TIGHT
    assert said(600, due(600, "other", last=300, state=JobState.RENDERING)) is Feasibility.FEASIBLE


def test_what_is_promised_for_another_time_takes_nothing_from_it() -> None:
    """A scheduled job needs its part of the farm between its start and its deadline."""

    def other(starts: float, ends: float) -> Job:
        return due(ends, "other", last=3000, wishes=Wishes(start_at=later(starts)))

    assert said(600, other(300, 900)) is Feasibility.TIGHT
    assert said(600, other(700, 1300)) is Feasibility.FEASIBLE
    assert said(1800, other(0, 600), wishes=Wishes(start_at=later(700))) is Feasibility.FEASIBLE


def test_a_frame_longer_than_the_time_left_cannot_be_shared_by_many() -> None:
    assert said(600, most_micro_wu=700 * WU) is Feasibility.IMPOSSIBLE


def test_a_job_that_starts_tomorrow_is_not_promised_for_today() -> None:
    tomorrow = later(86_400)
    assert said(600, wishes=Wishes(start_at=tomorrow)) is Feasibility.IMPOSSIBLE
    assert said(86_400 + 600, wishes=Wishes(start_at=tomorrow)) is Feasibility.FEASIBLE
    assert said(86_400 + 120, wishes=Wishes(start_at=tomorrow)) is Feasibility.TIGHT, "what comes before its start is of no use"
    assert said(600, wishes=Wishes(start_at=later(-60))) is Feasibility.FEASIBLE


@given(first=st.integers(1, 2000), more=st.integers(0, 2000))
def test_more_time_never_makes_it_worse(first: int, more: int) -> None:
    order = [Feasibility.IMPOSSIBLE, Feasibility.TIGHT, Feasibility.FEASIBLE]
    assert order.index(said(first)) <= order.index(said(first + more))


def test_without_deadline_estimate_or_agents_nothing_is_said() -> None:
    for job, speed in ((a_sampled_job(), SPEED), (due(60, micro_wu=None), SPEED), (due(60), 0)):
        assert deadlines.outlook(job, speed, {}, NOW, POLICY) is None


def test_the_estimate_carries_it_and_the_earliest_end() -> None:
    job = due(600)
    estimate = JobEstimated(
        job="due", account="ada", version=1, curve=Curve(knots=(Knot(frame=1, micro_wu=1),)), frames=span(1, 9),
        micro_wu=Band(low=1, expected=1, high=1), seconds=Band(low=1, expected=1, high=1),
    )  # fmt: skip
    _, (told,) = deadlines.judged((job, [estimate]), SPEED, {}, NOW, POLICY)
    assert isinstance(told, JobEstimated)
    assert told.outlook is not None
    assert told.outlook.earliest == NOW + timedelta(seconds=100 + POLICY.copy_start)


# --- misses


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("framelend_scheduler_deadlines_total", {"outcome": outcome}) or 0.0


async def an_office(job: Job) -> Office:
    office = Office()
    await put(office, job, a_chunk(4, job=job.job, state=ChunkState.COMPLETED, stored=4), an_agent(slots=0))
    return office


def misses(office: Office) -> list[DeadlineMissed]:
    return [one for one in office.told if isinstance(one, DeadlineMissed)]


async def test_a_deadline_that_passes_is_told_once_with_what_is_lacking() -> None:
    office = await an_office(due(30, "job", state=JobState.RENDERING))
    await office.sweep()
    assert misses(office) == []
    office.clock.pass_by(31)
    for _ in range(3):
        await office.sweep()
    (one,) = misses(office)
    assert (one.deadline, one.lacking) == (later(30), 996)


@pytest.mark.parametrize(("seconds", "told"), [(30, 1), (60, 0)])
async def test_a_job_that_ends_after_its_deadline_and_before_the_sweep_saw_it_is_told_too(seconds: int, told: int) -> None:
    office = await an_office(due(seconds, "job", last=4, state=JobState.RENDERING, uncut=()))
    office.clock.pass_by(31)
    before = {outcome: counted(outcome) for outcome in ("kept", "missed")}
    for _ in range(2):
        await office.desk.closing.finish("job")
    assert len(misses(office)) == told
    assert (counted("missed") - before["missed"], counted("kept") - before["kept"]) == (told, 1 - told)
    assert [one for one in office.told if isinstance(one, JobRendered)]


async def test_a_later_deadline_may_be_missed_anew() -> None:
    job = due(60, "job", state=JobState.RENDERING, missed=later(30))
    office = await an_office(job)
    office.clock.pass_by(61)
    await office.sweep()
    assert [one.deadline for one in misses(office)] == [later(60)]


async def test_frames_that_came_twice_do_not_make_the_rest_less_than_nothing() -> None:
    office = Office()
    job = due(30, "job", last=4, state=JobState.RENDERING)
    await put(office, job, a_chunk(4, state=ChunkState.COMPLETED, stored=5), an_agent(slots=0))
    office.clock.pass_by(31)
    await office.sweep()
    assert [one.lacking for one in misses(office)] == [0]


@pytest.mark.parametrize("changes", [{"wishes": Wishes(start_at=later(3600))}, {"state": JobState.RENDERING}])
async def test_a_deadline_passes_also_before_the_scheduled_start_and_while_the_farm_stands_still(changes: dict[str, Any]) -> None:
    office = await an_office(due(30, "job", **changes))
    office.desk.dispatch.is_halted = "state" in changes
    office.clock.pass_by(31)
    for _ in range(3):
        await Promises(office.desk).sweep()
    assert [one.deadline for one in misses(office)] == [later(30)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state": JobState.REQUOTING}, 1),
        ({"state": JobState.PAUSED, "stage": JobState.RENDERING}, 1),
        ({"state": JobState.PAUSED, "stage": JobState.REQUOTING}, 1),
        ({"state": JobState.PAUSED, "stage": JobState.QUOTED}, 0),
        ({"state": JobState.CANCELLED}, 0),
    ],
)
async def test_it_passes_also_while_nothing_of_the_job_is_given_out_once_its_price_is_accepted(
    changes: dict[str, Any], told: int
) -> None:
    office = await an_office(due(30, "job", **changes))
    office.clock.pass_by(31)
    for _ in range(3):
        await office.sweep()
    assert len(misses(office)) == told


# --- moved by its renter


async def moved(job: Job, seconds: float, *others: Job, halted: bool = False) -> list[Outlook]:
    """What is told when its deadline is set so far ahead."""
    office = Office()
    office.desk.dispatch.is_halted = halted
    for one in (job, *others):
        await office.jobs.store.add(one.job, one)
    for at in range(10):
        await office.agents.add(an_agent(f"a{at}"), ())
    wanted = Wishes(deadline=later(seconds))
    await office.hear(JobControlled(job="due", account="ada", revision=1, action=Action.RESUME, by="ada", wishes=wanted))
    return [one.outlook for one in office.told if isinstance(one, JobStateChanged) and one.outlook is not None]


@pytest.mark.parametrize("halted", [False, True])
async def test_what_is_promised_to_jobs_whose_turn_has_not_come_is_promised_to_nobody_else(halted: bool) -> None:
    """Ten agents, and three hours for fifty thousand seconds of work: scheduled for in an hour, or on a farm that is paused."""
    wishes = Wishes() if halted else Wishes(start_at=later(3600))
    other = due(
        10_800, "other", last=60_000, account="other", state=JobState.RENDERING if halted else JobState.QUEUED, wishes=wishes
    )
    assert [one.feasibility for one in await moved(a_sampled_job(50_000, job="due"), 10_800)] == [Feasibility.FEASIBLE], "control"
    assert [one.feasibility for one in await moved(a_sampled_job(50_000, job="due"), 10_800, other, halted=halted)] == [
        Feasibility.TIGHT
    ]


@pytest.mark.parametrize("state", [JobState.QUOTED, JobState.QUEUED, JobState.RENDERING])
async def test_a_deadline_that_is_set_later_is_judged_at_once(state: JobState) -> None:
    job = a_sampled_job(1000, job="due", state=state)
    (soon,) = await moved(job, 60)
    (far,) = await moved(job, 6000)
    assert (soon.feasibility, soon.deadline) == (Feasibility.IMPOSSIBLE, later(60))
    assert (far.feasibility, far.deadline) == (Feasibility.FEASIBLE, later(6000))


async def test_whether_it_gives_right_of_way_is_told_with_it() -> None:
    (late,) = await moved(due(5000), 900)
    (away,) = await moved(due(5000), 9000)
    (early,) = await moved(a_sampled_job(1000, job="due", state=JobState.QUOTED), 900)
    assert [one.right_of_way for one in (late, away, early)] == [False, True, True]


@pytest.mark.parametrize(("seconds", "kept"), [(6000, True), (60, False)])
def test_what_was_in_reach_when_the_price_was_made_is_promised_when_it_is_accepted(seconds: float, kept: bool) -> None:
    job = due(seconds, state=JobState.ESTIMATING, promised=None)
    estimate = JobEstimated(
        job="due", account="ada", version=1, curve=Curve(knots=(Knot(frame=1, micro_wu=WU),)), frames=span(1, 1000),
        micro_wu=Band(low=1, expected=2, high=3), seconds=Band(low=1, expected=2, high=3),
    )  # fmt: skip
    job, _ = deadlines.judged((job, [estimate]), SPEED, {}, NOW, POLICY)
    assert deadlines.promised(job) is None, "nobody has paid yet"
    job, _ = answers.held(replace(job, state=JobState.QUOTED), CreditsHeld(job="due", account="ada", version=1, amount_micro=1))
    assert deadlines.promised(job) == (later(seconds) if kept else None)


async def test_what_is_rendered_already_needs_no_time_any_more() -> None:
    (whole,) = await moved(a_sampled_job(1000, job="due"), 6000)
    (half,) = await moved(a_sampled_job(1000, job="due", uncut=span(501, 1000)), 6000)
    assert (whole.earliest - NOW, half.earliest - NOW) == (timedelta(seconds=105), timedelta(seconds=55))


async def test_before_the_estimate_and_where_nothing_was_moved_nothing_is_told() -> None:
    assert await moved(a_sampled_job(job="due", state=JobState.ESTIMATING, micro_wu=None, version=0), 60) == []
    assert await moved(due(60), 60) == []
