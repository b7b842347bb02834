"""A job that turns out dearer than quoted: the renter is asked about the rest, and only then."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import CreditsHeld, JobCancelled, JobEstimated, JobStateChanged
from contracts.values import Band, Curve, FrameRange, Knot, Order, frames, ranges
from contracts.work import price
from services.scheduler.domain import answers, curves, drift, quotes
from services.scheduler.domain.assignment import assigned
from services.scheduler.domain.cutting import cut
from services.scheduler.domain.job import Former, Job
from services.scheduler.domain.preview import ordered
from services.scheduler.domain.quotes import Quote
from services.scheduler.domain.spans import taken
from services.scheduler.domain.states import WORKING, JobState
from tests.unit.scheduler.builders import IMAGE, NOW, POLICY, WU, a_chunk, a_sampled_job, an_agent, span

BAND = Band(low=85 * WU, expected=100 * WU, high=115 * WU)


def a_rendering_job(done: int = 40, **changes: Any) -> Job:
    fields = {"micro_wu": BAND, "uncut": span(done + 1, 100), "state": JobState.RENDERING}
    return a_sampled_job(**{**fields, **changes})


def a_quote(job: Job | None = None) -> Quote:
    made = quotes.made(a_sampled_job(micro_wu=BAND) if job is None else job, 1, NOW)
    assert made is not None
    return made


def seen(*ratios: float, done: int = 40, quote: Quote | None = None) -> Quote:
    """The first frames, each rendered by the next owner in turn, whose machine measures so many times the quote."""
    quote = quote or a_quote()
    for at, ratio in enumerate(ratios):
        mine = range(1 + at, done + 1, len(ratios))
        quote = quotes.shown(quote, f"owner-{at}", False, [(frame, int(ratio * WU)) for frame in mine])
    return quote


def test_a_job_dearer_than_its_band_is_asked_about_what_is_left() -> None:
    before = a_rendering_job()
    job, events = drift.requoted(before, seen(1.6, 1.6, 1.6), POLICY, 0)
    moved, asked = events
    assert isinstance(moved, JobStateChanged)
    assert isinstance(asked, JobEstimated)
    assert (job.state, job.version, job.former) == (JobState.REQUOTING, 2, (Former(1, before.curve or Curve(knots=())),))
    assert (asked.version, asked.frames, asked.micro_wu.expected) == (2, span(41, 100), 96 * WU)
    assert "60 % more work" in asked.reason
    assert asked.micro_wu.low == 96 * WU * 85 // 100


def test_within_the_band_nobody_is_asked() -> None:
    assert drift.requoted(a_rendering_job(), seen(1.3, 1.3, 1.3), POLICY, 0) == (a_rendering_job(), []), "12 of 15 WU too much"


def test_a_dear_stretch_that_is_over_asks_nobody() -> None:
    """Positive control: as long as it lasts it does."""
    quote = seen(1.8, 1.8, done=40)
    assert drift.drifted(a_rendering_job(), quote, POLICY) is not None
    for owner in ("owner-0", "owner-1"):
        quote = quotes.shown(quote, owner, False, [(frame, WU) for frame in range(41, 111)])
    assert drift.drifted(a_rendering_job(), quote, POLICY) is None


def test_for_little_nobody_is_asked_even_where_the_band_is_narrow() -> None:
    """Positive control: half as much again is worth a question."""
    narrow = Band(low=99 * WU, expected=100 * WU, high=101 * WU)
    job = a_rendering_job(micro_wu=narrow)
    quote = a_quote(a_rendering_job(0, micro_wu=narrow))
    assert drift.drifted(job, seen(1.48, 1.48, quote=quote), POLICY) is None
    assert drift.drifted(job, seen(1.53, 1.53, quote=quote), POLICY) is not None


def test_cheaper_than_quoted_asks_nobody() -> None:
    assert drift.drifted(a_rendering_job(), seen(0.3, 0.3, 0.3), POLICY) is None


def test_with_little_left_nobody_is_asked() -> None:
    quote = seen(1.6, 1.6, done=95)
    assert drift.drifted(a_rendering_job(done=80), quote, POLICY) is not None
    assert drift.drifted(a_rendering_job(done=95), quote, POLICY) is None


@pytest.mark.parametrize("state", [one for one in JobState if one is not JobState.RENDERING])
def test_only_a_rendering_job_is_asked_about(state: JobState) -> None:
    assert drift.drifted(a_rendering_job(state=state), seen(1.6, 1.6), POLICY) is None


def test_one_owner_alone_has_nobody_asked_however_many_machines_he_has() -> None:
    assert drift.drifted(a_rendering_job(), seen(5.0), POLICY) is None


@given(honest=st.integers(1, 6), lie=st.floats(1.51, 100), data=st.data())
def test_fewer_liars_than_honest_owners_have_nobody_asked(honest: int, lie: float, data: st.DataObject) -> None:
    """Positive control: as many owners again who say the same, and the renter is asked."""
    liars = data.draw(st.integers(0, honest - 1)) if honest > 1 else 0
    quote = a_quote()
    for at in range(honest):
        quote = quotes.shown(quote, f"honest-{at}", False, [(frame, WU) for frame in range(1, 41)])
    for at in range(liars):
        quote = quotes.shown(quote, f"liar-{at}", False, [(frame, int(lie * WU)) for frame in range(1, 41)])
    assert drift.drifted(a_rendering_job(), quote, POLICY) is None
    for at in range(2 * honest + 1):
        quote = quotes.shown(quote, f"crowd-{at}", False, [(frame, int(lie * WU)) for frame in range(1, 41)])
    assert drift.drifted(a_rendering_job(), quote, POLICY) is not None


def test_while_it_is_asked_nothing_new_is_given_out() -> None:
    job, _ = drift.requoted(a_rendering_job(), seen(1.6, 1.6), POLICY, 0)
    assert job.state not in WORKING
    assert cut(job, [60 * WU], 1, (), POLICY) == (job, [])


def test_accepted_it_goes_on_and_frames_earn_what_their_attempts_version_says() -> None:
    job, _ = drift.requoted(a_rendering_job(), seen(1.6, 1.6), POLICY, 0)
    assert answers.held(job, CreditsHeld(job="job", account="ada", version=1, amount_micro=1)) == (job, [])
    job, _ = answers.held(job, CreditsHeld(job="job", account="ada", version=2, amount_micro=1))
    assert job.state is JobState.RENDERING
    job, _ = cut(job, [60 * WU], 1, (), POLICY)
    assert job.cuts[-1].version == 2
    earned = [
        assigned(job, a_chunk(4, version=version), an_agent(), "a", IMAGE, NOW, POLICY)[1].earns_micro for version in (1, 2)
    ]
    assert job.curve is not None
    assert earned == [4 * price(WU, 100), 4 * price(job.curve.wu(1), 100)]
    assert earned[0] < earned[1]


def test_declined_it_ends_with_what_is_finished() -> None:
    job, _ = drift.requoted(a_rendering_job(), seen(1.6, 1.6), POLICY, 0)
    assert answers.declined(job, 1, "no") == (job, [])
    job, events = answers.declined(job, 2, "the price was declined")
    assert job.state is JobState.CANCELLED
    assert [one.reason for one in events if isinstance(one, JobCancelled)] == [
        "the price was declined; the finished frames are yours at the old price"
    ]


def test_a_job_is_asked_again_so_often_and_no_more() -> None:
    assert drift.drifted(a_rendering_job(version=4), seen(1.6, 1.6, quote=a_quote(a_rendering_job(0, version=4))), POLICY) is None
    assert (
        drift.drifted(a_rendering_job(version=3), seen(1.6, 1.6, quote=a_quote(a_rendering_job(0, version=3))), POLICY)
        is not None
    )


@given(
    knots=st.dictionaries(st.integers(-50, 300), st.integers(0, 10**9), min_size=1, max_size=12),
    spans=st.lists(st.tuples(st.integers(-60, 320), st.integers(0, 90), st.integers(1, 9)), max_size=4),
)
def test_a_sum_over_the_curve_is_what_visiting_every_frame_finds(
    knots: dict[int, int], spans: list[tuple[int, int, int]]
) -> None:
    curve = Curve(knots=tuple(Knot(frame=frame, micro_wu=wu) for frame, wu in sorted(knots.items())))
    ranges = tuple(FrameRange(first=first, last=first + long, step=step) for first, long, step in spans)
    every = [curve.wu(frame) for frame in frames(ranges)]
    assert abs(curves.total(curve, ranges) - sum(every)) <= len(every)


@given(works=st.lists(st.integers(0, 10**12), min_size=1, max_size=60))
def test_a_frame_counts_at_most_eight_times_its_quote_and_an_eighth_at_least(works: list[int]) -> None:
    quote = quotes.shown(a_quote(), "ann", False, enumerate(works, 1))
    assert len(works) * WU // 8 <= quotes.measured(quote) <= len(works) * WU * 8
    assert quotes.quoted(quote) == len(works) * WU


def test_the_error_is_of_all_frames_and_said_once_all_are_measured() -> None:
    quote = seen(2.0, 1.0, done=100)
    assert quote.is_complete
    assert quotes.error_ppm(quote) == -333_334
    assert not quotes.is_in_band(quote)
    assert not seen(1.0, done=99).is_complete
    bins = [one.measured for one in quote.timeline]
    assert len(bins) == 100
    assert {abs(a - b) for a, b in pairwise(bins)} == {WU}


@given(last=st.integers(1, 300), cut_before=st.integers(0, 299))
def test_the_timeline_of_a_quote_runs_from_its_first_frame_to_its_last_in_whatever_order_they_are_cut(
    last: int, cut_before: int
) -> None:
    """A preview's stretches are not sorted, and of what is left of it the last ends before the first begins."""
    _, left = taken(ordered(span(1, last), Order.PREVIEW), min(cut_before, last - 1))
    inside = sorted(frames(left))
    shuffled, straight = (a_quote(a_sampled_job(micro_wu=BAND, uncut=spans)) for spans in (left, ranges(inside)))
    assert (shuffled.first, shuffled.last) == (inside[0], inside[-1])
    works = [(frame, WU) for frame in inside]
    assert quotes.shown(shuffled, "ann", False, works) == quotes.shown(straight, "ann", False, works)
