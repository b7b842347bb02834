"""What is sampled after the first round: never more than a share of the job, as far as anybody can know."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.domain import curves, estimate, picking, rounds, sampling, shots
from services.scheduler.domain.estimate import Seen
from services.scheduler.domain.job import Job, Sample
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import POLICY, WU, a_job, span

Cost = Callable[[int, bool], int]
"""Frame, house → WU."""
RICH = replace(POLICY, sampling_ppm=10**6)


def a_film(last: int) -> Job:
    fresh = a_job(state=JobState.INSPECTING, frames=span(1, last), total=last, sampling_limit=10**12)
    return sampling.begun(fresh, POLICY)[0]


def seen_of(samples: Sequence[Sample], cost: Cost) -> list[Seen]:
    houses = [one.anchor or one.witness for one in samples]
    return [
        Seen(one.frame, "house" if house else f"m{one.frame}", cost(one.frame, house) * WU, house)
        for one, house in zip(samples, houses, strict=True)
    ]


def asked(job: Job, cost: Cost, policy: Policy = POLICY) -> tuple[Sample, ...]:
    seen = seen_of(job.samples, cost)
    return rounds.further(job, seen, estimate.knots(seen), picking.parted(job.frames, (), POLICY), policy)


def sampled(job: Job, cost: Cost, policy: Policy = POLICY) -> Job:
    """Round after round to the end."""
    while found := asked(job, cost, policy):
        job = replace(job, samples=tuple(sorted((*job.samples, *found), key=lambda one: one.frame)))
    return job


def dear_end(frame: int, house: bool) -> int:
    return 10 if frame >= 170 else 1


@settings(deadline=None)
@given(last=st.integers(200, 2000), costs=st.lists(st.integers(1, 100), min_size=3, max_size=30))
def test_no_round_after_the_first_costs_more_than_three_percent_of_the_job_as_estimated_but_for_one_witness(
    last: int, costs: list[int]
) -> None:
    def cost(frame: int, house: bool) -> int:
        return costs[frame * len(costs) // (last + 1)]

    job, alike = a_film(last), picking.parted(span(1, last), (), POLICY)
    while found := asked(job, cost):
        seen = seen_of(job.samples, cost)
        curve = shots.curve(estimate.knots(seen), alike)
        spent = sum(curve.wu(one.frame) for one in (*job.samples, *found))
        is_first_witness = len(found) == 1 and not any(estimate.witnesses(seen, one) for one in seen if not one.house)
        assert is_first_witness or spent * 100 <= 3 * curves.total(curve, job.frames)
        job = replace(job, samples=tuple(sorted((*job.samples, *found), key=lambda one: one.frame)))


def test_after_a_dear_witness_a_short_job_is_sampled_no_further() -> None:
    """Control: where sampling may cost anything, the frame left out is rendered too."""
    job, rich = sampled(a_film(200), dear_end), sampled(a_film(200), dear_end, RICH)
    assert [one.frame for one in job.samples] == [21, 101, 141, 181, 182]
    assert {one.frame for one in rich.samples} - {one.frame for one in job.samples} == {61}


def test_a_liar_in_a_dear_stretch_is_held_against_one_witness_where_the_job_can_bear_no_second() -> None:
    """Control: where it can, the house looks at both sides of him."""

    def lied(frame: int, house: bool) -> int:
        return 40 if frame == 181 and not house else dear_end(frame, house)

    job, rich = sampled(a_film(200), lied), sampled(a_film(200), lied, RICH)
    about_him = [[one.frame for one in each.samples if abs(one.frame - 181) <= 2] for each in (job, rich)]
    assert about_him == [[181, 182], [180, 181, 182]]
    (his,) = [one for one in estimate.knots(seen_of(job.samples, lied)) if one.frame == 181]
    assert his.micro_wu == 10 * WU


def test_of_a_job_with_few_samples_the_house_renders_what_the_first_round_left_out() -> None:
    """So that no lender's frame comes last, for which a witness would have to be paid. Control: of a long film lenders do."""

    def waves(frame: int, house: bool) -> int:
        return 10 + frame // 100 % 2 * 9

    for last, is_house in ((230, True), (1000, False)):
        (found, *_) = asked(a_film(last), waves)
        assert found.witness is is_house
