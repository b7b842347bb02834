"""Frames as ranges, curves, work and price: integers that every service must find equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.values import MICRO, Benchmark, Curve, FrameRange, Knot, count, frames, ranges
from contracts.work import BENCHMARK_MICRO_WU, price, work, wupm

some_frames = st.sets(st.integers(-2_000, 2_000), max_size=120)


@given(some_frames)
def test_ranges_hold_exactly_the_frames_they_were_made_of(wanted: set[int]) -> None:
    found = ranges(wanted)
    assert sorted(frames(found)) == sorted(wanted)
    assert count(found) == len(wanted)


@given(st.integers(-500, 500), st.integers(1, 300), st.integers(1, 40))
def test_a_stepped_run_is_one_range(first: int, length: int, step: int) -> None:
    wanted = range(first, first + length * step, step)
    assert len(ranges(wanted)) <= (1 if length != 2 or step == 1 else 2)


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 7), st.integers(-100, 200))
def test_a_frame_is_in_a_range_when_it_is_among_its_frames(first: int, span: int, step: int, frame: int) -> None:
    it = FrameRange(first=first, last=first + span, step=step)
    assert (frame in it) == (frame in list(it))
    assert len(it) == len(list(it))


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="ends before it begins"):
        FrameRange(first=5, last=4)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 10**9)), min_size=1, max_size=9, unique_by=lambda k: k[0]))
def test_a_curve_goes_through_its_knots_and_never_leaves_their_bounds(points: list[tuple[int, int]]) -> None:
    knots = tuple(Knot(frame=frame, micro_wu=wu) for frame, wu in sorted(points))
    curve = Curve(knots=knots)
    assert all(curve.wu(knot.frame) == knot.micro_wu for knot in knots)
    lowest, highest = min(k.micro_wu for k in knots), max(k.micro_wu for k in knots)
    assert all(lowest <= curve.wu(frame) <= highest for frame in range(-10, 511, 7))


def test_between_two_knots_a_curve_is_a_straight_line() -> None:
    curve = Curve(knots=(Knot(frame=1, micro_wu=100), Knot(frame=5, micro_wu=300)))
    assert [curve.wu(frame) for frame in (0, 1, 2, 3, 4, 5, 9)] == [100, 100, 150, 200, 250, 300, 300]


def test_a_machine_twice_as_slow_is_credited_the_same_work_for_twice_the_time() -> None:
    fast, slow = Benchmark(cpu_micros=10**6, wall_micros=10**6), Benchmark(cpu_micros=2 * 10**6, wall_micros=2 * 10**6)
    assert work(5 * MICRO, fast) == work(10 * MICRO, slow)
    assert wupm(fast) == 2 * wupm(slow)
    assert work(10**6, fast) == BENCHMARK_MICRO_WU


def test_price_rounds_down_once_per_frame() -> None:
    assert price(1_500_000, 3) == 4
    assert price(MICRO, 250_000) == 250_000
