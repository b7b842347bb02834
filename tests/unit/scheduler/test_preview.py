"""A preview shows the whole film early: first, last, middle, and ever finer; every frame is cut once in any order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.values import FrameRange, Order, count, frames
from services.scheduler.domain.cutting import cut
from services.scheduler.domain.preview import ordered
from tests.unit.scheduler.builders import POLICY, WU, a_sampled_job, a_submission, span

SPANS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 4)), min_size=1, max_size=6).map(
    lambda parts: tuple(
        FrameRange(first=1000 * at, last=1000 * at + (number - 1) * step, step=step) for at, (number, step) in enumerate(parts)
    )
)


@given(spans=SPANS, order=st.sampled_from(Order))
def test_the_order_loses_and_doubles_nothing(spans: tuple[FrameRange, ...], order: Order) -> None:
    assert sorted(frames(ordered(spans, order))) == sorted(frames(spans))
    assert order is Order.PREVIEW or ordered(spans, order) == spans


def test_a_preview_begins_with_first_last_and_middle_and_then_fills_in() -> None:
    shown = list(frames(ordered(span(1, 101), Order.PREVIEW)))
    assert shown[:5] == [1, 101, 51, 26, 76]
    for number in (9, 20, 40):
        seen = sorted(shown[:number])
        gaps = [after - before for before, after in pairwise(seen)]
        assert max(gaps) <= 4 * 101 / number, f"a hole of {max(gaps)} frames after {number}"


def test_a_preview_of_a_million_frames_is_a_few_dozen_ranges() -> None:
    spans = ordered(span(1, 1_000_000), Order.PREVIEW)
    assert len(spans) < 250
    assert count(spans) == 1_000_000


@given(last=st.integers(1, 300), speeds=st.lists(st.integers(1, 100), min_size=1, max_size=20))
def test_chunks_of_a_preview_have_each_frame_once(last: int, speeds: list[int]) -> None:
    job = a_sampled_job(last, asked=a_submission(order=Order.PREVIEW), uncut=ordered(span(1, last), Order.PREVIEW))
    found: list[int] = []
    names: set[str] = set()
    while job.uncut:
        job, _ = cut(job, [speed * WU for speed in speeds], 3, names, POLICY)
        found += [frame for one in job.cuts for frame in frames(one.frames)]
        assert not names & {one.chunk for one in job.cuts}
        names |= {one.chunk for one in job.cuts}
    assert sorted(found) == list(range(1, last + 1))
