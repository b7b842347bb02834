"""Which frames are sampled, what is made of them, and who may bend it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Event, JobEstimated
from contracts.values import Knot, count, frames
from services.scheduler.domain import estimate, picking, sampling, shots
from services.scheduler.domain.estimate import Seen
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import POLICY, WU, a_job, span

FLEET = 60 * WU
START = POLICY.first_frame


def a_large_job(last: int = 300, **changes: Any) -> Job:
    fields: dict[str, Any] = {"state": JobState.INSPECTING, "frames": span(1, last), "total": last, "sampling_limit": 10**12}
    return sampling.begun(a_job(**{**fields, **changes}), POLICY)[0]


def measured(job: Job, cost: Any) -> tuple[Job, list[Event]]:
    """Every sample that is asked for is rendered, by lenders of one frame each; `cost`: frame, house → WU."""
    events: list[Event] = []
    while any(one.micro_wu is None for one in job.samples):
        one = next(one for one in job.samples if one.micro_wu is None)
        agent = "house" if one.anchor or one.witness else f"agent-{one.frame}"
        work = int(cost(one.frame, agent == "house") * WU) + START
        job, more = sampling.sampled(job, one.frame, f"a{one.frame}", agent, work, FLEET, POLICY)
        events += more
    return job, events


@given(last=st.integers(200, 3000), step=st.integers(1, 5), cost=st.integers(4, 30))
def test_sampling_a_large_job_costs_no_more_than_three_percent_of_it(last: int, step: int, cost: int) -> None:
    """Where no frame stands out: a witness comes on top."""
    job = a_large_job(frames=span(1, last, step), total=count(span(1, last, step)))
    job, events = measured(job, lambda frame, _: cost + frame % 3)
    (told,) = [one for one in events if isinstance(one, JobEstimated)]
    if job.total < POLICY.large_job:
        return
    spent = sum(one.micro_wu - START for one in job.measured)
    assert len(job.samples) >= 5
    assert spent * 100 <= 3 * (spent + told.micro_wu.expected) + len(job.samples)
    assert set(frames(told.frames)) | {one.frame for one in job.samples} == set(frames(job.frames)), (
        "every sampled frame is final"
    )


@given(last=st.integers(200, 1_000_000), step=st.integers(1, 3))
def test_samples_of_a_large_job_lie_in_the_middle_of_equal_stretches(last: int, step: int) -> None:
    spans = span(1, last, step)
    number = picking.wanted(count(spans), POLICY)
    chosen = shots.middles(spans, number)
    assert len(set(chosen)) == number <= POLICY.most_samples
    stretch = count(spans) * step / number
    assert all(abs(frame - (at + 0.5) * stretch) <= 2 * step for at, frame in enumerate(chosen))
    assert set(picking.first(spans, picking.parted(spans, (), POLICY), POLICY)) <= set(chosen) or count(spans) < POLICY.large_job


def test_a_smooth_job_needs_no_second_round_and_a_rough_one_gets_it() -> None:
    smooth, _ = measured(a_large_job(600), lambda *_: 5)
    rough, _ = measured(a_large_job(600), lambda frame, _: 5 if frame % 150 < 75 else 12)
    assert (smooth.is_second_round, rough.is_second_round) == (False, True)
    assert len(smooth.samples) < len(rough.samples)
    assert (smooth.version, rough.version) == (1, 1)


def test_the_second_round_stays_within_the_deposit() -> None:
    """Positive control: with room in it there are more."""
    poor, _ = measured(a_large_job(600, sampling_limit=70 * WU), lambda frame, _: 5 if frame % 150 < 75 else 12)
    rich, _ = measured(a_large_job(600), lambda frame, _: 5 if frame % 150 < 75 else 12)
    assert len(poor.samples) < len(rich.samples)


def test_a_lender_who_says_four_times_what_it_was_is_found_out_by_the_house_beside_him() -> None:
    """Positive control: where the frame is as hard for the house, it counts in full."""
    liar = picking.first(span(1, 300), picking.parted(span(1, 300), (), POLICY), POLICY)[1]

    def lied(frame: int, house: bool) -> float:
        return 20.0 if frame == liar and not house else 5.0

    def hard(frame: int, house: bool) -> float:
        return 20.0 if abs(frame - liar) <= 2 else 5.0

    job, _ = measured(a_large_job(), lied)
    assert [one.frame for one in job.samples if one.witness] == [liar - 1, liar + 1]
    assert job.curve is not None
    assert job.curve.wu(liar) == 5 * WU

    def cut(frame: int, house: bool) -> float:
        return 20.0 if frame <= liar else 5.0

    for scene in (hard, cut):
        job, _ = measured(a_large_job(), scene)
        assert job.curve is not None
        assert job.curve.wu(liar) == 20 * WU, "also where a cut lies between him and one witness"


@given(lie=st.floats(1.4, 64), number=st.integers(1, 6))
def test_a_witness_divides_a_machines_error_out_of_all_its_frames(lie: float, number: int) -> None:
    his = [Seen(20 * at, "liar", int(lie * WU)) for at in range(1, number + 1)]
    found = estimate.knots([*his, Seen(21, "house", WU, house=True)])
    assert all(abs(one.micro_wu - WU) <= 2 for one in found)


@given(error=st.floats(0.8, 1.25))
def test_a_small_error_is_left_in_for_it_may_be_the_frames(error: float) -> None:
    found = estimate.knots([Seen(20, "lender", int(error * WU)), Seen(21, "house", WU, house=True)])
    assert found[0] == Knot(frame=20, micro_wu=int(error * WU))


def test_the_band_is_the_error_of_leaving_knots_out_over_the_root_of_their_number() -> None:
    straight = [Knot(frame=at, micro_wu=at * WU) for at in (1, 11, 21, 31, 41)]
    wavy = [Knot(frame=at, micro_wu=cost * WU) for at, cost in ((1, 4), (11, 6), (21, 4), (31, 6), (41, 4))]
    more = [Knot(frame=1 + 10 * at, micro_wu=(4 + at % 2 * 2) * WU) for at in range(20)]
    assert estimate.spread_percent([straight], POLICY) == POLICY.band_floor_percent
    assert estimate.spread_percent([straight[:1]], POLICY) == 25
    assert estimate.spread_percent([straight[:1], straight[1:2]], POLICY) == 25, "one of each look tells nothing of its look"
    pairs = [[Knot(frame=1, micro_wu=WU), Knot(frame=50, micro_wu=dear * WU)] for dear in (1, 3)]
    assert [estimate.spread_percent([pair], POLICY) for pair in pairs] == [10, 90], "two are held against each other"
    assert POLICY.band_floor_percent < estimate.spread_percent([more], POLICY) < estimate.spread_percent([wavy], POLICY)


@pytest.mark.parametrize(("frame", "taken", "expected"), [(5, [5], 6), (5, [5, 6], 4), (10, [10], 9), (5, [4, 5, 6, 7], None)])
def test_a_witness_stands_beside_the_frame_in_question(frame: int, taken: list[int], expected: int | None) -> None:
    assert picking.neighbour(span(1, 10), frame, taken) == expected
