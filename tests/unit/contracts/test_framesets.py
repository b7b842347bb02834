"""Frame lists without counting frame by frame: the same frames as sets would have, for work that grows with the ranges."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from contracts.framesets import held, less, marked, together
from contracts.values import FrameRange, Ranges, frames, ranges

T = TypeVar("T")
some_ranges = st.lists(
    st.builds(
        lambda first, length, step: FrameRange(first=first, last=first + length, step=step),
        st.integers(-60, 60), st.integers(0, 50), st.integers(1, 9),
    ),
    max_size=7,
).map(tuple)  # fmt: skip
some_frames = st.sets(st.integers(-90, 90), max_size=60)
MILLION = (FrameRange(first=1, last=1_000_000),)


def odd(number: int, start: int = 1) -> Ranges:
    return tuple(FrameRange(first=frame, last=frame) for frame in range(start, start + 2 * number, 2))


@given(some_ranges)
def test_together_they_are_what_their_frames_would_be_written_as(some: Ranges) -> None:
    assert together(some) == ranges(frames(some))


@given(some_frames)
def test_marks_become_the_ranges_that_their_frames_would_be_written_as(some: set[int]) -> None:
    assert tuple(marked(bytes(frame - 90 in some for frame in range(181)), -90)) == ranges(some)


@given(some_frames, some_ranges)
def test_less_is_what_is_in_the_one_and_not_in_the_other(some: set[int], removed: Ranges) -> None:
    left = less(ranges(some), removed)
    assert list(frames(left)) == sorted(some - set(frames(removed)))
    untouched = [one for one in ranges(some) if not set(one) & set(frames(removed))]
    assert set(untouched) <= set(left), "as they were written"


@given(some_ranges, some_ranges)
def test_less_is_true_also_of_ranges_that_overlap_and_interleave(some: Ranges, removed: Ranges) -> None:
    assert set(frames(less(some, removed))) == set(frames(some)) - set(frames(removed))


@given(some_ranges, some_ranges, st.integers(0, 5))
def test_a_bounded_answer_is_the_beginning_of_the_whole(some: Ranges, removed: Ranges, most: int) -> None:
    assert together(some, most) == together(some)[:most]
    assert less(some, removed, most) == less(some, removed)[:most]


@given(some_ranges, st.lists(st.integers(-90, 90), max_size=20))
def test_held_are_those_asked_for_that_are_in_it(some: Ranges, asked: list[int]) -> None:
    assert held(some, asked) == [frame for frame in asked if any(frame in one for one in some)]


# --- and what it costs


def calls(work: Callable[[], T]) -> tuple[int, T]:
    """How many functions, generators and built-ins were entered: the same on every machine."""
    entered = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal entered
        entered += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = work()
    finally:
        sys.setprofile(before)
    return entered, found


def test_a_million_frames_cost_as_much_as_their_ranges() -> None:
    single = odd(3_000)
    for work in (
        lambda: less(MILLION, single),
        lambda: less(single, MILLION),
        lambda: less(MILLION, less(MILLION, single)),
        lambda: together((*MILLION, *single)),
        lambda: together((*single, *MILLION)),
        lambda: together((FrameRange(first=1, last=999_999, step=2), FrameRange(first=4, last=1_000_000, step=4)), 3_000),
        lambda: less(MILLION, (FrameRange(first=4, last=999_996, step=4), FrameRange(first=1, last=99_999, step=3)), 3_000),
        lambda: held(single, range(1, 65)),
    ):
        entered, _ = calls(work)
        assert entered < 40 * len(single), f"{entered} calls"


def test_counting_frame_by_frame_would_be_noticed() -> None:
    entered, _ = calls(lambda: ranges(frames((FrameRange(first=1, last=200_000), *odd(10)))))
    assert entered > 40 * 3_000
