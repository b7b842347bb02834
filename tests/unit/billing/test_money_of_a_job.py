"""The decisions one by one; what they keep together in any order is the state machine's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.events import CopiesHonoured, CreditsHeld, HoldRefused, JobQuoted, JobSettled, QuoteExpired
from contracts.values import MICRO, Kind
from services.billing.domain import charging, holding, ledger, settling
from services.billing.domain.charging import Standing
from services.billing.domain.faults import Breach, TooEarly, Untrue
from services.billing.domain.job import OFFER_STATES, STAGES, Job, OfferState, Outcome, Stage
from services.billing.domain.ledger import Leg, Posting, PostingKind, Unbalanced
from services.billing.domain.pricing import Plan, planned
from tests.unit.billing.builders import a_book, a_delivery, a_seal, a_submission, a_tariff, a_work, an_estimate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RICH = 10**12


def a_deposited_job(max_cost: int | None = None) -> Job:
    return holding.deposited(Job.of(a_submission(max_cost=max_cost)), RICH, a_book()).job


def a_sampled_job(max_cost: int | None = None) -> Job:
    works = [a_work("s1", frames=(1,)), a_work("p1", Kind.PROBE)]
    return charging.sampled(a_deposited_job(max_cost), works, {"box": "lars"}, None).job


def a_quoted_job(max_cost: int | None = None) -> Outcome:
    return holding.quoted(a_sampled_job(max_cost), an_estimate(), planned([a_tariff()]), a_book(), NOW)


def a_held_job() -> Job:
    return holding.accepted(a_quoted_job().job, "ada", 1, RICH, NOW).job


def test_a_posting_that_does_not_sum_to_zero_cannot_be_made() -> None:
    with pytest.raises(Unbalanced):
        Posting("k", PostingKind.ISSUE, (Leg("a", 1), Leg("b", -2)))


def test_every_state_has_its_row_in_the_tables() -> None:
    assert set(STAGES) == set(Stage)
    assert set(OFFER_STATES) == set(OfferState)


def test_an_illegal_move_says_from_where_to_where() -> None:
    with pytest.raises(Breach, match="from submitted to held"):
        Job.of(a_submission()).to(Stage.HELD)


def test_a_refused_deposit_says_what_to_top_up() -> None:
    refused = holding.deposited(Job.of(a_submission()), 400_000, a_book())
    assert refused.postings == ()
    assert isinstance(refused.events[0], HoldRefused)
    assert "top up 0.60 credits" in refused.events[0].text
    assert refused.job.over


def test_a_quote_counts_sampling_rendering_and_fixed_lines() -> None:
    (quote,) = a_quoted_job().events
    assert isinstance(quote, JobQuoted)
    rendering = a_tariff().rendering()
    assert quote.price_micro == 60_000 + rendering + rendering // 10 + 9 * 1_000
    assert quote.price_micro == sum(line.amount_micro for line in quote.lines)


def test_an_estimate_waits_until_sampling_is_measured() -> None:
    with pytest.raises(TooEarly):
        holding.quoted(a_deposited_job(), an_estimate(), Plan(1, 9), a_book(), NOW)


def test_an_estimate_told_again_is_no_second_quote() -> None:
    job = a_quoted_job().job
    assert holding.quoted(job, an_estimate(), Plan(1, 9), a_book(), NOW) == Outcome(job)


def test_a_price_beyond_all_credits_is_cut_and_cannot_be_accepted() -> None:
    job = holding.quoted(a_sampled_job(), an_estimate(), Plan(10**24, 9), a_book(), NOW).job
    assert job.offer is not None
    assert job.offer.price_micro == 10**18
    assert not job.offer.within_max_cost
    assert isinstance(holding.accepted(job, "ada", 1, 10**18, NOW).events[0], HoldRefused)


def test_accepting_holds_the_price_with_the_deposit_folded_in() -> None:
    job = a_quoted_job().job
    assert job.offer is not None
    held = holding.accepted(job, "ada", 1, RICH, NOW)
    assert held.job.held_micro == job.offer.price_micro
    assert sum(leg.amount_micro for leg in held.postings[0].legs if leg.account.endswith("held")) == job.offer.price_micro - MICRO
    assert held.events == (CreditsHeld(job="j1", account="ada", version=1, amount_micro=job.offer.price_micro),)
    assert holding.accepted(held.job, "ada", 1, 0, NOW) == Outcome(held.job)


def test_a_cheaper_price_than_the_deposit_gives_the_difference_back() -> None:
    assert a_held_job().held_micro < MICRO


def test_an_answer_after_the_time_of_the_quote_expires_it_first() -> None:
    late = holding.accepted(a_quoted_job().job, "ada", 1, RICH, NOW + timedelta(hours=2))
    assert [type(event) for event in late.events] == [QuoteExpired, HoldRefused]
    assert late.postings == ()


def test_an_answer_to_a_quote_not_made_yet_waits() -> None:
    with pytest.raises(TooEarly):
        holding.accepted(a_quoted_job().job, "ada", 2, RICH, NOW)
    with pytest.raises(TooEarly):
        holding.declined(a_sampled_job(), "ada", 1)


def test_nobody_answers_for_somebody_else() -> None:
    with pytest.raises(Untrue):
        holding.accepted(a_quoted_job().job, "eve", 1, RICH, NOW)
    with pytest.raises(Untrue):
        holding.declined(a_quoted_job().job, "eve", 1)


def test_a_frame_earns_its_firm_work_and_nothing_else() -> None:
    tariff = a_tariff()
    charged = charging.stored(a_held_job(), a_delivery(2, 3), tariff, {})
    assert [posting.earned_micro for posting in charged.postings] == [tariff.cost(2)[1], tariff.cost(3)[1]]
    assert [posting.key for posting in charged.postings] == ["charge:j1:2:0", "charge:j1:3:0"]
    assert charged.job.charged_micro == 60_000 + tariff.cost(2)[1] + tariff.cost(3)[1]


def test_a_frame_of_a_version_not_accepted_waits() -> None:
    with pytest.raises(TooEarly):
        charging.stored(a_quoted_job().job, a_delivery(2), a_tariff(), {})


def test_a_newer_generation_undoes_the_older_and_an_older_one_is_late() -> None:
    job = charging.stored(a_held_job(), a_delivery(2), a_tariff(), {})
    standing = {2: Standing(job.postings[0], matured=True)}
    again = charging.stored(job.job, a_delivery(2, attempt="a2", generation=1, owner="olga"), a_tariff(), standing)
    assert [posting.key for posting in again.postings] == ["reverse:charge:j1:2:0", "charge:j1:2:1"]
    assert ledger.payable("lars") in [leg.account for leg in again.postings[0].legs]
    assert again.job.charged_micro == job.job.charged_micro
    assert again.job.frames == 1
    newest = {2: Standing(again.postings[1])}
    assert charging.stored(again.job, a_delivery(2), a_tariff(), newest) == Outcome(again.job)


def test_a_charge_beyond_the_hold_is_refused_as_our_own_fault() -> None:
    dear = replace(a_tariff(), price_per_wu_micro=10**9)
    with pytest.raises(Breach):
        charging.stored(a_held_job(), a_delivery(2), dear, {})


def test_an_inspection_cannot_store_frames() -> None:
    with pytest.raises(Untrue):
        charging.stored(a_held_job(), a_delivery(2, kind=Kind.PROBE), a_tariff(), {})


def test_sampling_is_charged_once_per_attempt_and_never_beyond_the_deposit() -> None:
    works = [a_work(f"s{at}", micro_wu=60 * MICRO) for at in range(3)]
    first = charging.sampled(a_deposited_job(), works, {"box": "lars"}, None)
    assert [posting.earned_micro for posting in first.postings] == [600_000, 400_000, 0]
    assert charging.sampled(first.job, works, {"box": "lars"}, None) == Outcome(first.job)


def test_sampling_told_after_the_price_is_firm_is_the_farms_own_cost() -> None:
    late = charging.sampled(a_held_job(), [a_work("late")], {"box": "lars"}, a_tariff())
    assert late.postings[0].earned_micro == 30_000
    assert {leg.account for leg in late.postings[0].legs} == {ledger.LOSS, ledger.pending("lars")}
    assert late.job.charged_micro == a_held_job().charged_micro


def test_a_late_sample_that_saves_a_quoted_frame_is_paid_from_that_frames_price() -> None:
    late = charging.sampled(a_held_job(), [a_work("late", frames=(5,))], {"box": "lars"}, a_tariff())
    assert {leg.account for leg in late.postings[0].legs} == {ledger.held("ada"), ledger.pending("lars")}


def test_a_seal_that_does_not_add_up_is_untrue() -> None:
    with pytest.raises(Untrue):
        settling.sealed(a_held_job(), a_seal(1, 2).model_copy(update={"count": 3}))
    with pytest.raises(Untrue):
        settling.sealed(a_held_job(), a_seal(1, account="eve"))


def test_a_job_waits_for_the_charges_of_its_seal() -> None:
    job = settling.sealed(a_held_job(), a_seal(2)).job
    assert not settling.may_settle(job)
    job = charging.stored(job, a_delivery(2), a_tariff(), {}).job
    assert settling.may_settle(job)


def test_a_job_waits_for_the_measure_of_a_sample_that_gave_a_frame() -> None:
    job = charging.stored(a_held_job(), a_delivery(2, kind=Kind.SAMPLE, attempt="s9"), None, {}).job
    job = settling.sealed(job, a_seal(2)).job
    assert not settling.may_settle(job)
    assert settling.may_settle(charging.sampled(job, [a_work("s9", frames=(2,))], {"box": "lars"}, a_tariff()).job)


def test_charges_over_other_frames_than_the_seals_are_our_fault() -> None:
    job = charging.stored(a_held_job(), a_delivery(2), a_tariff(), {}).job
    with pytest.raises(Breach):
        settling.settled(settling.sealed(job, a_seal(3)).job, {2})


def test_an_invoice_charges_pro_rata_and_releases_the_rest() -> None:
    job = charging.stored(a_held_job(), a_delivery(2), a_tariff(), {}).job
    done = settling.settled(settling.sealed(job, a_seal(2, outcome="cancelled")).job, {2})
    (invoice,) = done.events
    assert isinstance(invoice, JobSettled)
    rendering = a_tariff().cost(2)[1]
    assert invoice.charged_micro == 60_000 + rendering + rendering // 10 + 1_000
    assert sum(line.amount_micro for line in invoice.lines) == invoice.charged_micro
    assert invoice.held_micro == invoice.charged_micro + invoice.released_micro
    assert ledger.balances(done.postings)[ledger.held("ada")] == -job.room_micro
    assert settling.settled(done.job, {2}) == Outcome(done.job)


def test_a_frame_outside_the_seal_of_a_settled_job_is_untrue() -> None:
    job = charging.stored(a_held_job(), a_delivery(2), a_tariff(), {}).job
    job = settling.settled(settling.sealed(job, a_seal(2)).job, {2}).job
    with pytest.raises(Untrue):
        charging.stored(job, a_delivery(3), a_tariff(), {})


@pytest.mark.parametrize(("bid", "paid"), [(5_000, 5_000), (10_000, 10_000), (10**12, 10_000)])
def test_a_picture_that_came_second_is_paid_at_the_farms_own_price_at_most(bid: int, paid: int) -> None:
    """Renter and lender may be one, or in league: what he bids he gets back, and the farm would give as much once more."""
    told, tariff = CopiesHonoured(job="j1", attempt="a2", agent="box", version=1, frames=(2, 3)), a_tariff(bid=bid)
    postings = charging.honoured(told, "lars", tariff, a_book(price_per_wu_micro=10_000))
    assert [one.micro_wu for one in postings] == [tariff.cost(2)[0], tariff.cost(3)[0]]
    assert [one.earned_micro for one in postings] == [one.micro_wu * paid // MICRO for one in postings]
    assert ledger.balances(postings)[ledger.DUPLICATES] == -sum(one.earned_micro for one in postings)
