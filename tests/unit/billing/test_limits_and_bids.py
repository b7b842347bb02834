"""The limit counts as it stands when the price is accepted, and for nothing before; the price is made of the bid as it stood at
the estimate."""

from contracts.events import CreditsHeld, HoldRefused
from services.billing.domain import holding
from services.billing.domain.job import Job
from services.billing.domain.pricing import Plan
from tests.unit.billing.builders import a_book, a_submission, an_estimate
from tests.unit.billing.test_money_of_a_job import NOW, RICH, a_sampled_job


def quoted(max_cost: int | None) -> tuple[Job, int]:
    job = holding.quoted(a_sampled_job(max_cost=max_cost), an_estimate(), Plan(10**6, 9), a_book(), NOW).job
    assert job.offer is not None
    return job, job.offer.price_micro


def test_a_limit_raised_since_the_quote_was_made_lets_it_be_accepted() -> None:
    job, price = quoted(max_cost=10)
    assert isinstance(holding.accepted(job, "ada", 1, RICH, NOW).events[0], HoldRefused), "not without the new limit"
    assert isinstance(holding.accepted(job, "ada", 1, RICH, NOW, price).events[0], CreditsHeld)


def test_a_limit_lowered_since_then_refuses_it() -> None:
    job, price = quoted(max_cost=None)
    (refused,) = holding.accepted(job, "ada", 1, RICH, NOW, price - 1).events
    assert isinstance(refused, HoldRefused)
    assert "over the limit" in refused.text


def test_a_limit_of_next_to_nothing_gets_no_sampled_frame_below_the_books_price() -> None:
    """Such a limit may be lifted once the frames are there: accepting then buys them at their full cost."""
    job, price = quoted(max_cost=1)
    full = holding.deposited(Job.of(a_submission()), RICH, a_book()).job.deposit_micro
    assert (job.deposit_micro, sum(one.earned_micro for one in job.agents)) == (full, 60_000)
    held = holding.accepted(job, "ada", 1, RICH, NOW, price).job
    assert (held.held_micro, held.sampling_micro) == (price, 60_000)


def test_a_limit_below_the_deposit_does_not_make_up_for_credits_that_lack() -> None:
    (refused,) = holding.deposited(Job.of(a_submission(max_cost=1)), 1, a_book()).events
    assert isinstance(refused, HoldRefused)
    assert "The deposit for inspection and sampling is 1.00 credits" in refused.text


def test_the_price_is_made_of_the_bid_that_the_estimate_names() -> None:
    estimate = an_estimate().model_copy(update={"price_per_wu_micro": 70_000})
    assert holding.quoted(a_sampled_job(), estimate, Plan(1, 9), a_book(), NOW).job.price_per_wu_micro == 70_000
    assert holding.quoted(a_sampled_job(), an_estimate(), Plan(1, 9), a_book(), NOW).job.price_per_wu_micro == 20_000
