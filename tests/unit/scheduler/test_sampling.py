"""From a few real frames to a curve and a band."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Event, JobEstimated, SamplingMeasured, Wishes
from contracts.values import Benchmark, Kind, Knot, count, frames
from contracts.work import BENCHMARK_MICRO_WU
from services.scheduler.domain import job as jobs
from services.scheduler.domain import sampling
from services.scheduler.domain.cutting import chunk_id
from services.scheduler.domain.job import Job
from services.scheduler.domain.measured import Measured
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import POLICY, WU, a_job, span

FLEET = 60 * WU
LASTING = WU - POLICY.first_frame
"""Of a frame that cost 1 WU as the first of its process."""


def a_sampling_job(last: int = 100, **changes: Any) -> Job:
    job = a_job(state=JobState.INSPECTING, frames=span(1, last), total=last, **changes)
    return sampling.begun(job, POLICY)[0]


def with_samples(job: Job, costs: dict[int, int]) -> tuple[Job, list[Event]]:
    events: list[Event] = []
    for frame, cost in costs.items():
        job, more = sampling.sampled(job, frame, f"a{frame}", f"agent-{frame}", cost, FLEET, POLICY)
        events += more
    return job, events


@given(last=st.integers(1, 199), step=st.integers(1, 7))
def test_samples_of_a_small_job_are_evenly_spaced_with_both_ends_and_one_anchor(last: int, step: int) -> None:
    spans = span(1, last, step)
    job = sampling.begun(a_job(state=JobState.INSPECTING, frames=spans), POLICY)[0]
    chosen = [one.frame for one in job.samples]
    real = list(frames(spans))
    assert len(set(chosen)) == len(chosen) == min(5, len(real))
    assert (chosen[0], chosen[-1]) == (real[0], real[-1]) if len(real) > 1 else chosen == real
    assert sum(one.anchor for one in job.samples) == 1
    assert [(cut.kind, cut.house) for cut in job.cuts] == [(Kind.SAMPLE, one.anchor) for one in job.samples]
    gaps = [real.index(b) - real.index(a) for a, b in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_frames_left_out_before_the_estimate_are_not_priced_and_samples_among_them_are_kept() -> None:
    job = a_sampling_job(wishes=Wishes(left_out=span(20, 60)))
    costs = dict.fromkeys((1, 25, 50, 75, 100), WU)
    _, (_, estimate) = with_samples(job, costs)
    assert isinstance(estimate, JobEstimated)
    assert set(frames(estimate.frames)) == set(range(1, 101)) - set(range(20, 61)) - set(costs)
    assert estimate.micro_wu.expected == count(estimate.frames) * LASTING


def test_the_estimate_comes_when_every_sample_has_its_cost() -> None:
    job, events = with_samples(a_sampling_job(), {1: WU, 25: WU, 50: WU, 75: WU})
    assert events == []
    job, events = sampling.sampled(job, 100, "a100", "bob", WU, FLEET, POLICY)
    measured, estimate = events
    assert isinstance(measured, SamplingMeasured)
    assert isinstance(estimate, JobEstimated)
    assert [work.micro_wu for work in measured.work] == [WU] * 5
    assert (estimate.version, count(estimate.frames)) == (1, 95)
    assert (estimate.micro_wu.expected, estimate.seconds.expected) == (95 * LASTING, 95 * LASTING // WU)
    assert (estimate.micro_wu.low, estimate.micro_wu.high) == (95 * LASTING * 90 // 100, 95 * LASTING * 110 // 100)
    assert job.state is JobState.ESTIMATING, "it is quoted when billing has quoted it"


def test_a_repeated_sample_counts_once() -> None:
    job, _ = with_samples(a_sampling_job(), {1: WU})
    assert sampling.sampled(job, 1, "a1", "ann", WU, FLEET, POLICY) == (job, [])


def test_a_job_of_few_frames_is_estimated_with_nothing_left_to_render() -> None:
    _, events = with_samples(a_sampling_job(3), {1: WU, 2: WU, 3: WU})
    (estimate,) = [one for one in events if isinstance(one, JobEstimated)]
    assert (estimate.frames, estimate.micro_wu.expected) == ((), 0)


def test_nobody_is_paid_for_more_than_eight_times_the_anchor() -> None:
    """Positive control: the same claim by the anchor itself counts in full."""
    _, events = with_samples(a_sampling_job(), {1: 100 * WU, 25: WU, 50: WU, 75: WU, 100: WU})
    (measured,) = [one for one in events if isinstance(one, SamplingMeasured)]
    (estimate,) = [one for one in events if isinstance(one, JobEstimated)]
    assert measured.work[0].micro_wu == 8 * WU
    assert estimate.curve.knots[0] == Knot(frame=1, micro_wu=8 * LASTING)
    _, events = with_samples(a_sampling_job(), {1: WU, 25: WU, 50: 100 * WU, 75: WU, 100: WU})
    (measured,) = [one for one in events if isinstance(one, SamplingMeasured)]
    assert measured.work[2].micro_wu == 100 * WU


def test_a_sample_over_its_budget_is_probed_and_its_frame_rendered_later() -> None:
    job, _ = with_samples(a_sampling_job(), {25: WU, 50: WU, 75: WU, 100: WU})
    job, events = sampling.over_budget(job, 1, "slow", "ann", 2 * WU, POLICY)
    assert events == []
    assert job.cuts[-1].chunk == chunk_id("job", Kind.PROBE, 1)
    job, events = sampling.probed(job, 1, "probe", "ann", WU, FLEET, POLICY)
    measured, estimate = events
    assert isinstance(measured, SamplingMeasured)
    assert isinstance(estimate, JobEstimated)
    assert estimate.curve.knots[0].micro_wu == 4 * LASTING, "a probe renders a quarter of the pixels"
    assert 1 in list(frames(estimate.frames))
    paid = {work.attempt: work for work in measured.work}
    assert (paid["slow"].micro_wu, paid["slow"].frames) == (2 * WU, ())
    assert (paid["probe"].micro_wu, paid["probe"].frames) == (WU, ())


def test_work_told_after_the_estimate_is_told_at_once() -> None:
    """A sample's late frame was stored after its probe: billing must hear of it, the curve is frozen."""
    job, _ = with_samples(a_sampling_job(), {25: WU, 50: WU, 75: WU, 100: WU})
    job, _ = sampling.over_budget(job, 1, "slow", "ann", 2 * WU, POLICY)
    job, _ = sampling.probed(job, 1, "probe", "ann", WU, FLEET, POLICY)
    after, events = sampling.sampled(job, 1, "late", "bob", WU, FLEET, POLICY)
    (measured,) = events
    assert isinstance(measured, SamplingMeasured)
    assert ("late", span(1, 1)) in [(work.attempt, work.frames) for work in measured.work]
    assert after.curve == job.curve


def test_a_frame_that_came_after_all_is_kept_for_the_work_already_recognised() -> None:
    job, _ = with_samples(a_sampling_job(), {25: WU, 50: WU, 75: WU, 100: WU})
    job, _ = sampling.over_budget(job, 1, "slow", "ann", 2 * WU, POLICY)
    job, events = sampling.sampled(job, 1, "slow", "ann", 3 * WU, FLEET, POLICY)
    (measured,) = [one for one in events if isinstance(one, SamplingMeasured)]
    (estimate,) = [one for one in events if isinstance(one, JobEstimated)]
    assert {work.attempt: (work.micro_wu, work.frames) for work in measured.work}["slow"] == (2 * WU, span(1, 1))
    assert 1 not in list(frames(estimate.frames))
    _, events = sampling.probed(job, 1, "probe", "ann", WU, FLEET, POLICY)
    assert [type(one) for one in events] == [SamplingMeasured], "the needless probe is paid, the curve is frozen"


def told_at_the_end(*attempts: Measured, anchor: int | None) -> dict[str, int]:
    """Of a job that fails while it is sampled, with a deposit of 600 WU; its anchor cost so much."""
    job = replace(a_sampling_job(sampling_limit=600 * WU), measured=attempts)
    samples = tuple(replace(one, micro_wu=anchor) if one.anchor else one for one in job.samples)
    _, events = jobs.failed(replace(job, samples=samples), "scene_fault", "a driver fails")
    (measured,) = [one for one in events if isinstance(one, SamplingMeasured)]
    return {work.attempt: work.micro_wu for work in measured.work}


@pytest.mark.parametrize(("anchor", "most"), [(None, 120 * WU), (2 * WU, 16 * WU)])
def test_no_lender_takes_the_deposit_of_a_job_that_ends_before_its_samples_are_known(anchor: int | None, most: int) -> None:
    """What he says is bounded by his time budget only: that of a machine of 4,096 cores, by its own word."""
    lie = sampling.recognised(10**12, Benchmark(cpu_micros=1_000, wall_micros=1_000), 4_096, POLICY.sample_budget)
    assert lie > 600 * WU
    liar, honest = Measured("lie", "eve", Kind.SAMPLE, lie), Measured("fair", "ann", Kind.SAMPLE, 15 * WU, span(1, 1))
    house = Measured("look", "house", Kind.INSPECT, 40 * WU), Measured("anchor", "house", Kind.SAMPLE, 200 * WU, anchor=True)
    paid = told_at_the_end(liar, honest, *house, anchor=anchor)
    assert paid == {"lie": most, "fair": 15 * WU, "look": 40 * WU, "anchor": 200 * WU}


@pytest.mark.parametrize(
    ("cpu", "cores", "expected"), [(3 * WU, 2.0, 3 * WU), (10**11, 2.0, 240 * WU), (10**12, 4_096, 120 * 256 * WU), (0, 1.0, 1)]
)
def test_work_is_bounded_by_the_time_budget(cpu: int, cores: float, expected: int) -> None:
    assert sampling.recognised(cpu, Benchmark(cpu_micros=BENCHMARK_MICRO_WU, wall_micros=WU), cores, 120) == expected
