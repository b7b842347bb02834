"""Prices: what is quoted is what can be charged, to the micro-credit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import MICRO, Curve, FrameRange, Knot, PriceLine, frames
from contracts.work import price
from services.billing.domain import pricing
from services.billing.domain.pricing import Tariff, Work
from tests.unit.billing.builders import a_book, a_tariff

works = st.builds(
    Work,
    sampling_micro=st.integers(0, 10**12),
    rendering_micro=st.integers(0, 10**12),
    rendered=st.integers(0, 10**6),
    stored=st.integers(0, 10**6),
)
curves = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 10**9)), min_size=1, unique_by=lambda knot: knot[0]).map(
    lambda knots: Curve(knots=tuple(Knot(frame=frame, micro_wu=work) for frame, work in sorted(knots)))
)


@given(curve=curves, bid=st.integers(1, 10**9), first=st.integers(-1200, 1200), length=st.integers(0, 300))
def test_the_price_of_rendering_is_the_sum_of_its_frames(curve: Curve, bid: int, first: int, length: int) -> None:
    tariff = Tariff(curve, (FrameRange(first=first, last=first + length),), bid)
    assert tariff.rendering() == sum(price(curve.wu(frame), bid) for frame in frames(tariff.frames))
    assert tariff.freed(tariff.frames) == tariff.rendering()


@given(work=works, share=st.fractions(0, 1))
def test_fixed_lines_for_a_part_of_the_work_are_never_more_than_for_all_of_it(work: Work, share: float) -> None:
    part = Work(work.sampling_micro, int(work.rendering_micro * share), int(work.rendered * share), int(work.stored * share))
    whole, less = (pricing.fixed_lines(a_book().terms, one) for one in (work, part))
    assert all(a.amount_micro >= b.amount_micro for a, b in zip(whole, less, strict=True))


@given(amounts=st.lists(st.integers(0, 10**18), max_size=6), room=st.integers(0, 10**18))
def test_lines_cut_to_a_room_never_exceed_it(amounts: list[int], room: int) -> None:
    lines = tuple(PriceLine(code="x", text="", amount_micro=amount) for amount in amounts)
    cut = pricing.within(lines, room)
    assert pricing.total(cut) == min(sum(amounts), room)


def test_the_deposit_follows_the_book_and_its_bounds() -> None:
    assert pricing.deposit(a_book()) == (MICRO, 100 * MICRO)
    assert pricing.deposit(a_book(max_deposit_micro=250_000)) == (250_000, 25 * MICRO)


def test_what_the_deposit_lets_sampling_use_never_costs_more_than_the_deposit() -> None:
    for cap in (1, 3, 9_999, 123_456):
        amount, micro_wu = pricing.deposit(a_book(price_per_wu_micro=70_001, max_deposit_micro=cap))
        assert price(micro_wu, 70_001) <= amount


def test_a_frame_outside_the_quote_frees_nothing() -> None:
    tariff = a_tariff(2, 9)
    assert tariff.freed((FrameRange(first=1, last=1), FrameRange(first=10, last=12))) == 0


@pytest.mark.parametrize(
    ("micro", "words"), [(0, "0.00"), (1, "0.000001"), (1_500_000, "1.50"), (715_995, "0.715995"), (12 * MICRO, "12.00")]
)
def test_credits_read_exactly(micro: int, words: str) -> None:
    assert pricing.credits(micro) == words


def test_what_to_top_up_is_rounded_up() -> None:
    assert pricing.credits_up(1) == "0.01"
    assert pricing.credits_up(3_500_000) == "3.50"


def test_lines_say_what_they_are_for() -> None:
    lines = pricing.quote_lines(a_book().terms, Work(90_000, MICRO, 1, 3), 20_000)
    assert [(line.code, line.text) for line in lines] == [
        ("sampling", "Inspection and sampling"),
        ("rendering", "1 frame at 0.02 credits per WU"),
        ("fee", "Platform fee, 10 % of rendering"),
        ("keeping", "Keeping 3 frames until you fetch them"),
        ("transfer", "Transfer of 3 frames"),
    ]
