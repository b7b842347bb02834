"""A second price for what is left: the old one holds for what was given out under it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import CreditsHeld, HoldRefused, JobQuoted
from contracts.values import MICRO, FrameRange, Knot
from services.billing.domain import charging, holding
from services.billing.domain.job import Job, OfferState, Outcome, Stage
from services.billing.domain.pricing import Tariff, planned
from tests.unit.billing.builders import a_book, a_curve, a_delivery, a_submission, a_tariff, a_work, an_estimate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RICH = 10**15


def a_held_job(max_cost: int | None = None) -> Job:
    job = holding.deposited(Job.of(a_submission(max_cost=max_cost)), RICH, a_book()).job
    job = charging.sampled(job, [a_work("s1", frames=(1,))], {"box": "lars"}, None).job
    job = holding.quoted(job, an_estimate(), planned([a_tariff()]), a_book(), NOW).job
    return holding.accepted(job, "ada", 1, RICH, NOW).job


def doubled(first: int, last: int = 9) -> Tariff:
    knots = tuple(Knot(frame=one.frame, micro_wu=2 * one.micro_wu) for one in a_curve().knots)
    return Tariff(a_curve().model_copy(update={"knots": knots}), (FrameRange(first=first, last=last),), 20_000)


def requoted(job: Job, first: int = 6) -> Outcome:
    newer = doubled(first)
    event = an_estimate(version=2, tariff=newer).model_copy(update={"reason": "dearer"})
    return holding.quoted(job, event, planned([a_tariff(), newer]), a_book(), NOW)


def test_a_further_version_prices_what_is_left_and_says_what_it_would_have_cost() -> None:
    before = a_held_job()
    (quote,) = requoted(before).events
    assert isinstance(quote, JobQuoted)
    left = sum(a_tariff().cost(frame)[1] for frame in range(6, 10))
    assert (quote.left_frames, quote.left_micro, quote.left_before_micro, quote.reason) == (4, 2 * left, left, "dearer")
    assert quote.price_micro == before.held_micro + left + left // 10, "the rest twice as dear, and the fee on it"


def test_what_is_under_way_under_the_old_version_is_in_the_new_price() -> None:
    """Positive control: without those frames the hold would not cover them."""
    job = a_held_job()
    job = charging.stored(job, a_delivery(2, 3), a_tariff(), {}).job
    job = holding.accepted(requoted(job).job, "ada", 2, RICH, NOW).job
    job = charging.stored(job, a_delivery(4, 5, attempt="a2"), a_tariff(), {}).job
    job = charging.stored(job, a_delivery(6, 7, 8, 9, attempt="a3", version=2), doubled(6), {}).job
    assert job.rendering_micro == planned([a_tariff(), doubled(6)]).rendering_micro
    assert job.charged_micro <= job.held_micro


def test_a_further_price_is_held_beside_what_is_held_and_the_job_goes_on() -> None:
    before = a_held_job()
    held = holding.accepted(requoted(before).job, "ada", 2, RICH, NOW)
    assert (held.job.stage, held.job.accepted_version) == (Stage.HELD, 2)
    (hold,) = held.postings
    assert sum(leg.amount_micro for leg in hold.legs if leg.account.endswith("held")) == held.job.held_micro - before.held_micro
    assert held.events == (CreditsHeld(job="j1", account="ada", version=2, amount_micro=held.job.held_micro),)


@pytest.mark.parametrize("answer", [OfferState.DECLINED, OfferState.EXPIRED])
def test_declined_or_silent_the_accepted_version_stays_held(answer: OfferState) -> None:
    before = a_held_job()
    asked = requoted(before).job
    assert asked.offer is not None
    after = holding.declined(asked, "ada", 2).job
    if answer is OfferState.EXPIRED:
        after = holding.expired(asked, asked.offer.expires_at).job
    assert after.offer is not None
    assert (after.offer.state, after.held_micro, after.accepted_version) == (answer, before.held_micro, 1)
    late = charging.sampled(after, [a_work("late", micro_wu=90 * MICRO)], {"box": "lars"}, a_tariff()).job
    assert late.sampling_micro == before.sampling_micro, "the renter pays no more for sampling than its line says"
    refused = holding.accepted(after, "ada", 2, RICH, NOW)
    assert isinstance(refused.events[-1], HoldRefused)


def test_a_further_price_over_the_limit_is_shown_and_cannot_be_accepted() -> None:
    first = a_held_job().held_micro
    job = requoted(a_held_job(max_cost=first + 1)).job
    (refused,) = holding.accepted(job, "ada", 2, RICH, NOW).events
    assert isinstance(refused, HoldRefused)
    assert "decline, and submit the rest again" in refused.text


@given(cuts=st.lists(st.integers(2, 9), min_size=1, max_size=3, unique=True), factors=st.lists(st.integers(1, 9), min_size=3))
def test_whatever_the_versions_their_plan_is_the_sum_of_what_frames_earn(cuts: list[int], factors: list[int]) -> None:
    versions = [a_tariff()]
    for first, factor in zip(sorted(cuts), factors, strict=False):
        curve = a_curve(factor * MICRO, 7)
        versions.append(replace(a_tariff(first), curve=curve))
    newest = {frame: tariff for tariff in versions for frame in range(tariff.frames[0].first, 10)}
    assert planned(versions).rendering_micro == sum(tariff.cost(frame)[1] for frame, tariff in newest.items())
