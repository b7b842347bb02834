"""The limit counts as it stands when the price is accepted; the price is made of the bid as it stood at the estimate."""

from contracts.events import CreditsHeld, HoldRefused
from services.billing.domain import holding
from services.billing.domain.job import Job
from services.billing.domain.pricing import Plan
from tests.unit.billing.builders import a_book, an_estimate
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


def test_the_price_is_made_of_the_bid_that_the_estimate_names() -> None:
    estimate = an_estimate().model_copy(update={"price_per_wu_micro": 70_000})
    assert holding.quoted(a_sampled_job(), estimate, Plan(1, 9), a_book(), NOW).job.price_per_wu_micro == 70_000
    assert holding.quoted(a_sampled_job(), an_estimate(), Plan(1, 9), a_book(), NOW).job.price_per_wu_micro == 20_000
