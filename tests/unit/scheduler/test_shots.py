"""Sampling with knowledge of the file's shots: where samples lie, what the curve looks like, and what lies about shots can do."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Event, JobEstimated, Shot
from contracts.values import LAST_FRAME, FrameRange, Knot, count, frames
from services.scheduler.domain import curves, picking, sampling, shots
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import POLICY, WU, a_job, some_facts, span

FLEET = 60 * WU
START = POLICY.first_frame
NEAR, FAR = 20, 2
"""WU of a frame, seen by either camera."""
TURNS = ((1, 60, 0), (61, 130, 1), (131, 200, 0))


def cut(*stretches: tuple[int, int, int]) -> tuple[Shot, ...]:
    return tuple(Shot(first=first, last=last, look=look) for first, last, look in stretches)


def a_film(known: tuple[Shot, ...], last: int = 200, **changes: Any) -> Job:
    facts = some_facts().model_copy(update={"shots": known})
    fields: dict[str, Any] = {"frames": span(1, last), "total": last, "sampling_limit": 10**12, "facts": facts, **changes}
    return sampling.begun(a_job(state=JobState.INSPECTING, **fields), POLICY)[0]


def told(job: Job, cost: Any) -> tuple[Job, JobEstimated]:
    """`cost`: frame, house → WU."""
    events: list[Event] = []
    while any(one.micro_wu is None for one in job.samples):
        one = next(one for one in job.samples if one.micro_wu is None)
        house = one.anchor or one.witness
        agent, work = "house" if house else f"agent-{one.frame}", int(cost(one.frame, house) * WU) + START
        job, more = sampling.sampled(job, one.frame, f"a{one.frame}", agent, work, FLEET, POLICY)
        events += more
    (estimate,) = [one for one in events if isinstance(one, JobEstimated)]
    return job, estimate


def by_turns(frame: int, _: bool = False) -> int:
    return NEAR if 61 <= frame <= 130 else FAR


def error(job: Job, estimate: JobEstimated) -> float:
    left = sum(by_turns(frame) for frame in frames(estimate.frames)) * WU
    return abs(estimate.micro_wu.expected / left - 1)


def test_a_curve_steps_where_the_camera_changes_and_the_quote_is_right() -> None:
    job, estimate = told(a_film(cut(*TURNS)), by_turns)
    assert error(job, estimate) == 0
    assert [estimate.curve.wu(frame) // WU for frame in (1, 60, 61, 130, 131, 200)] == [FAR, FAR, NEAR, NEAR, FAR, FAR]
    assert len(job.samples) == picking.wanted(200, POLICY), "nobody is suspected for what the cut explains"
    blind = told(a_film(()), by_turns)
    assert error(*blind) > 0.1, "positive control: without the file's word"


def test_a_large_job_whose_cuts_are_known_needs_no_second_round() -> None:
    def cost(frame: int, _: bool) -> int:
        return NEAR if 181 <= frame <= 390 else FAR

    known, _ = told(a_film(cut((1, 180, 0), (181, 390, 1), (391, 600, 0)), last=600), cost)
    blind, _ = told(a_film((), last=600), cost)
    assert (known.is_second_round, blind.is_second_round) == (False, True)
    assert len(known.samples) < len(blind.samples)


@given(last=st.integers(200, 3000), edges=st.lists(st.integers(1, 3000), max_size=30, unique=True), looks=st.integers(1, 12))
def test_every_look_with_a_samples_share_is_sampled_and_no_more_frames_than_without(
    last: int, edges: list[int], looks: int
) -> None:
    begins = [1, *sorted(edge for edge in edges if edge > 1)]
    ends = [*(begin - 1 for begin in begins[1:]), 5000]
    known = cut(*((begin, end, at % looks) for at, (begin, end) in enumerate(zip(begins, ends, strict=True))))
    spans, number = span(1, last), picking.wanted(last, POLICY)
    alike = picking.parted(spans, known, POLICY)
    chosen = picking.first(spans, alike, POLICY)
    assert len(set(chosen)) == len(chosen) <= number
    assert all(1 <= frame <= last for frame in chosen)
    assert sum(count(look.spans) for look in alike) <= last
    assert {shots.of(alike, frame) for frame in chosen} == set(range(len(alike)))
    assert len(alike) == 1 or all(2 * number * count(look.spans) >= last for look in alike)
    assert picking.anchor(chosen, alike) in chosen


@given(st.lists(st.tuples(st.integers(-300, 600), st.integers(0, 200), st.integers(0, 30)), max_size=60))
def test_whatever_a_file_claims_of_its_shots_the_curve_covers_the_job_with_what_was_measured(
    claims: list[tuple[int, int, int]],
) -> None:
    """Stretches that overlap, that lie outside, that leave gaps: costs stay those that were measured."""
    known = cut(*((first, first + length, look) for first, length, look in claims))
    job, estimate = told(a_film(known), lambda *_: 5)
    assert curves.total(estimate.curve, job.frames) == 200 * 5 * WU
    assert len(estimate.curve.knots) <= 1_000
    covered = shots.covering(known)
    assert covered[0].first == -LAST_FRAME
    assert covered[-1].last == LAST_FRAME
    assert all(after.first == before.last + 1 for before, after in pairwise(covered))


def test_a_look_with_one_sample_is_measured_by_the_house() -> None:
    """Else one lender alone would say what all of it costs. Positive control: elsewhere his word is taken."""
    known = cut((1, 30, 0), (31, 200, 1))
    job = a_film(known)
    (anchor,) = [one.frame for one in job.samples if one.anchor]
    assert anchor <= 30
    lied, _ = told(job, lambda frame, house: 5 if house or frame > 30 else 20)
    assert lied.curve is not None
    assert lied.curve.wu(1) == 5 * WU


def test_a_witness_stands_on_the_same_side_of_the_cut() -> None:
    """Positive control: where the file tells of no cut, on the other."""
    known, liar = cut((1, 17, 0), (18, 67, 1), (68, 150, 0), (151, 200, 1)), 17

    def cost(frame: int, house: bool) -> int:
        return 9 * FAR if frame == liar and not house else FAR

    job, _ = told(a_film(known), cost)
    assert [one.frame for one in job.samples if one.witness and abs(one.frame - liar) < 5] == [liar - 1]
    assert picking.neighbour(job.frames, liar, [liar]) == liar + 1


@pytest.mark.parametrize(("shot", "expected"), [((4, 9), [5, 8]), ((0, 1), []), ((2, 2), [2]), ((9, 90), [11, 14])])
def test_the_frames_of_a_shot_are_found_without_unrolling(shot: tuple[int, int], expected: list[int]) -> None:
    spans = (FrameRange(first=2, last=14, step=3),)
    assert list(frames(shots.within(spans, cut((*shot, 0))[0]))) == expected


def test_looks_that_nobody_sampled_lie_on_a_line_between_those_beside_them() -> None:
    alike = shots.looks(span(1, 200), cut((1, 99, 0), (100, 102, 1), (103, 200, 2)), 6)
    knots = (Knot(frame=50, micro_wu=100), Knot(frame=150, micro_wu=500))
    curve = shots.curve(knots, alike)
    assert [curve.wu(frame) for frame in (99, 100, 101, 102, 103)] == [100, 200, 300, 400, 500]
