"""Billing as a process on real RabbitMQ and MongoDB: the whole path of money, told twice, killed in the middle, raced."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from contracts.events import (
    AccountOpened,
    BalanceChanged,
    CopiesHonoured,
    CreditsHeld,
    DepositHeld,
    HoldRefused,
    JobCharged,
    JobQuoted,
    JobSettled,
    QuoteAccepted,
    QuoteDeclined,
    QuoteExpired,
)
from contracts.topology import BILLING, INTAKE, SCHEDULER, STORAGE
from contracts.values import MICRO
from services.billing.repository.audit import Audit
from tests.integration.billing_story import DEAR, FIXED, RENDERING, SAMPLING, Story, an_order, curve_cost, raised
from tests.integration.one import OneService
from tests.integration.world import Process, World
from tests.waiting import until


@pytest.fixture(scope="module")
def one(world: World) -> Iterator[OneService]:
    it = OneService(world, BILLING, FRAMELEND_AUDIT_WINDOW_SECONDS="0", FRAMELEND_AUDIT_SECONDS="0.5")
    yield it
    it.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def billing(one: OneService) -> Process:
    return await one.running()


async def balance(world: World, account: str) -> dict[str, int]:
    found = await world.database(BILLING)["accounts"].find_one({"_id": account})
    return {name: found.get(f"{name}_micro", 0) for name in ("available", "held", "pending", "payable")}


async def books_agree(world: World, billing: Process) -> None:
    """Waits until a check of the books made from now on has found nothing."""
    before = checks(billing)
    await until(lambda: checks(billing) > before + 1, "the books are checked", 60)
    assert metric(billing, "framelend_billing_ledger_sum") == 0
    assert metric(billing, "framelend_billing_mismatches") == 0


def checks(process: Process) -> float:
    return metric(process, "framelend_sweeps_total", sweep="the books are checked", outcome="done")


def metric(process: Process, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{process.url}/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


async def test_a_job_is_paid_from_deposit_to_settlement(world: World, billing: Process) -> None:
    story = await Story(world).opened()
    quote = await story.quoted()
    assert quote.price_micro == SAMPLING + RENDERING + FIXED == sum(line.amount_micro for line in quote.lines)
    await world.say(INTAKE, story.accepted())
    assert (await world.hear(CreditsHeld, job=story.job)).amount_micro == quote.price_micro
    await world.say(STORAGE, *story.samples(), story.stored(2, 3, 4), story.stored(5, 6), story.stored(7, 8, 9))
    await world.say(STORAGE, story.sealed(*range(1, 11)))
    settled = await world.hear(JobSettled, job=story.job)
    assert settled.charged_micro == quote.price_micro == sum(line.amount_micro for line in settled.lines)
    assert settled.released_micro == 0
    assert sum(one.frames for one in settled.agents) == 10
    await world.hear(BalanceChanged, account=story.lender, pending_micro=0, payable_micro=SAMPLING + RENDERING)
    await world.hear(BalanceChanged, account=story.renter, available_micro=100 * MICRO - quote.price_micro, held_micro=0)
    charges = sorted(world.said(JobCharged, job=story.job), key=lambda one: one.revision)
    assert charges[-1].charged_micro == SAMPLING + RENDERING
    assert charges[-1].frames == 10
    await books_agree(world, billing)


async def test_the_same_facts_backwards_and_twice_come_to_the_same_money(world: World, billing: Process) -> None:
    story = await Story(world).opened()
    await story.held()
    renders = [story.stored(2, 3, 4), story.stored(5, 6), story.stored(7, 8, 9)]
    facts = [story.sealed(*range(1, 11)), *renders, *story.samples()]
    await world.say(STORAGE, *facts, *facts)
    await world.say(SCHEDULER, story.measured(), story.estimated())
    await world.say(INTAKE, story.accepted(), story.submitted())
    settled = await world.hear(JobSettled, job=story.job)
    assert settled.charged_micro == SAMPLING + RENDERING + FIXED
    await books_agree(world, billing)
    assert len(world.said(JobSettled, job=story.job)) == 1
    assert len(world.said(CreditsHeld, job=story.job)) == len(world.said(JobQuoted, job=story.job)) == 1
    assert await balance(world, story.lender) == {"available": 0, "held": 0, "pending": 0, "payable": SAMPLING + RENDERING}
    assert await world.dead(BILLING) == []


async def test_facts_that_overtake_what_they_rest_on_wait_for_it(world: World, billing: Process) -> None:
    """The estimate before the sampling, sampling before the job, all of it before the agent."""
    story = Story(world)
    await world.say(INTAKE, AccountOpened(account=story.renter, email="r@example.org"), an_order(story.renter, 100))
    await world.hear(BalanceChanged, account=story.renter, available_micro=100 * MICRO)
    await world.say(SCHEDULER, story.estimated(), story.measured())
    await world.say(STORAGE, *story.samples())
    await world.say(INTAKE, story.submitted())
    await world.hear(DepositHeld, job=story.job)
    await story.opened(credits=0)
    await world.hear(JobQuoted, job=story.job, price_micro=SAMPLING + RENDERING + FIXED)
    assert await world.dead(BILLING) == []


async def test_killed_while_charging_every_frame_is_charged_once(world: World, one: OneService) -> None:
    billing = await one.running()
    story = await Story(world).opened()
    await story.held()
    postings = world.database(BILLING)["postings"]
    frames = [story.stored(frame) for frame in range(2, 10)]
    billing.freeze()
    await world.say(STORAGE, *story.samples(), *random.Random(7).sample(frames, len(frames)))
    before = await postings.count_documents({"job": story.job})
    billing.thaw()
    await until(lambda: grown(postings, story.job, before), "a charge is saved")
    billing.kill()
    billing = await one.running()
    await world.say(STORAGE, *frames, story.sealed(*range(1, 11)))
    settled = await world.hear(JobSettled, job=story.job)
    assert settled.charged_micro == SAMPLING + RENDERING + FIXED
    assert await postings.count_documents({"job": story.job, "kind": "charge"}) == 8
    await books_agree(world, billing)
    await until(lambda: last_charged(world, story) == SAMPLING + RENDERING, "the last word on the sums, in spite of the kill", 30)


def last_charged(world: World, story: Story) -> int:
    said = world.said(JobCharged, job=story.job)
    return max(said, key=lambda told: told.revision).charged_micro if said else 0


async def grown(postings: Any, job: str, before: int) -> bool:
    return bool(await postings.count_documents({"job": job}) > before)


async def test_holds_that_exceed_the_balance_together_cannot_all_be_made(world: World, billing: Process) -> None:
    """Decided by two processes at the same time; the fence between them is the database. Each wants more than half."""
    second = await world.start(BILLING, FRAMELEND_AUDIT_WINDOW_SECONDS="0")
    renter = await Story(world).opened(credits=0)
    stories = [Story(world, renter.renter, renter.lender, renter.agent) for _ in range(4)]
    await world.say(INTAKE, an_order(renter.renter, 40))
    await world.hear(BalanceChanged, account=renter.renter, available_micro=40 * MICRO)
    for story in stories:
        await story.quoted()
        await raised(world, story)
    await asyncio.gather(*(world.say(INTAKE, QuoteAccepted(job=s.job, account=s.renter, version=2)) for s in stories))
    jobs = {story.job for story in stories}
    await until(lambda: len(heard(world, CreditsHeld, jobs) + heard(world, HoldRefused, jobs)) == 4, "all four are decided")
    second.stop()
    assert len(heard(world, CreditsHeld, jobs)) == 1
    assert (await balance(world, renter.renter))["available"] == 16 * MICRO - (DEAR - 6 * MICRO)
    await books_agree(world, billing)


def heard(world: World, event: type[Any], jobs: set[str]) -> list[Any]:
    return [one for one in world.said(event) if one.job in jobs]


async def test_a_refused_hold_leaves_the_quote_open_until_the_account_is_topped_up(world: World, billing: Process) -> None:
    story = await Story(world).opened(credits=6)
    await story.quoted()
    await raised(world, story)
    accepted = QuoteAccepted(job=story.job, account=story.renter, version=2)
    await world.say(INTAKE, accepted)
    refused = await world.hear(HoldRefused, job=story.job)
    assert refused.needed_micro == DEAR - 6 * MICRO
    assert "accept again" in refused.text
    await world.say(INTAKE, an_order(story.renter, 50))
    await world.hear(BalanceChanged, account=story.renter, available_micro=50 * MICRO)
    await world.say(INTAKE, accepted)
    assert (await world.hear(CreditsHeld, job=story.job)).version == 2


async def test_a_job_without_deposit_is_refused_and_settles_at_nothing(world: World, billing: Process) -> None:
    story = await Story(world).opened(credits=1)
    await world.say(INTAKE, story.submitted())
    refused = await world.hear(HoldRefused, job=story.job)
    assert refused.version == 0
    assert "top up 5.00 credits" in refused.text
    await world.say(STORAGE, story.sealed(outcome="failed"))
    settled = await world.hear(JobSettled, job=story.job)
    assert settled.charged_micro == settled.released_micro == 0
    assert (await balance(world, story.renter))["available"] == MICRO


async def test_a_cancelled_job_pays_what_sampling_cost_and_gets_the_rest_back(world: World, billing: Process) -> None:
    story = await Story(world).opened()
    await story.quoted()
    await world.say(STORAGE, *story.samples(), story.sealed(1, 10, outcome="cancelled"))
    settled = await world.hear(JobSettled, job=story.job)
    assert settled.charged_micro == SAMPLING
    assert settled.released_micro == 6 * MICRO - SAMPLING
    await world.hear(BalanceChanged, account=story.renter, available_micro=100 * MICRO - SAMPLING, held_micro=0)


async def test_a_job_cancelled_half_way_pays_fees_for_its_stored_frames_only(world: World, billing: Process) -> None:
    story = await Story(world).opened()
    await story.held()
    await world.say(STORAGE, *story.samples(), story.stored(2, 3), story.sealed(1, 2, 3, 10, outcome="cancelled"))
    settled = await world.hear(JobSettled, job=story.job)
    rendering = curve_cost(2) + curve_cost(3)
    assert settled.charged_micro == SAMPLING + rendering + rendering // 10 + 4 * 1_000
    assert settled.held_micro - settled.charged_micro == settled.released_micro


async def test_a_price_over_the_renters_limit_is_shown_and_cannot_be_accepted(world: World, billing: Process) -> None:
    story = await Story(world).opened()
    quote = await story.quoted(max_cost=500_000)
    assert not quote.within_max_cost
    await world.say(INTAKE, story.accepted())
    assert "higher limit" in (await world.hear(HoldRefused, job=story.job)).text


async def test_honoured_copies_are_paid_by_the_farm(world: World, billing: Process) -> None:
    story = await Story(world).opened()
    await story.held()
    before = await balance(world, story.renter)
    copies = CopiesHonoured(job=story.job, attempt=f"{story.job}-x", agent=story.agent, version=1, frames=(3, 4))
    await world.say(SCHEDULER, copies, copies)
    paid = SAMPLING + (curve_cost(3) + curve_cost(4)) // 2  # at the book's price, which is half of the bid
    await world.hear(BalanceChanged, account=story.lender, payable_micro=paid)
    assert await balance(world, story.renter) == before
    await books_agree(world, billing)


async def test_the_quote_of_somebody_elses_job_cannot_be_accepted(world: World, billing: Process) -> None:
    story, thief = await Story(world).opened(), await Story(world).opened()
    await story.quoted()
    await world.say(INTAKE, QuoteAccepted(job=story.job, account=thief.renter, version=1))
    parked = await until(lambda: world.dead(BILLING), "the message is parked")
    assert "is not of account" in str(parked[0].headers["x-reason"])
    assert not world.said(CreditsHeld, job=story.job)


async def test_a_declined_quote_cannot_be_accepted_any_more(world: World, billing: Process) -> None:
    story = await Story(world).opened()
    await story.quoted()
    await world.say(INTAKE, QuoteDeclined(job=story.job, account=story.renter, version=1))
    jobs = world.database(BILLING)["jobs"]
    await until(lambda: jobs.find_one({"_id": story.job, "offer.state": "declined"}), "declined")
    await world.say(INTAKE, story.accepted())
    assert "declined" in (await world.hear(HoldRefused, job=story.job)).text


async def test_a_wrong_balance_and_a_posting_that_does_not_sum_to_zero_are_found(world: World, billing: Process) -> None:
    """The control of every `books_agree`: one micro-credit too much is seen."""
    story = await Story(world).opened()
    accounts = world.database(BILLING)["accounts"]
    await accounts.update_one({"_id": story.renter}, {"$inc": {"available_micro": 1}})
    await until(lambda: metric(billing, "framelend_billing_mismatches") == 1, "the sweep finds it")
    await accounts.update_one({"_id": story.renter}, {"$inc": {"available_micro": -1}})
    postings = world.database(BILLING)["postings"]
    await postings.insert_one({"_id": "crooked", "legs": [{"account": "farm:fee", "amount": 5}]})
    await until(lambda: metric(billing, "framelend_billing_ledger_sum") == 5, "the sweep finds that, too")
    await postings.delete_one({"_id": "crooked"})
    await books_agree(world, billing)


async def test_what_is_kept_as_held_is_compared_for_every_open_job_however_many_are_read_at_once(world: World) -> None:
    stories = [await Story(world).opened() for _ in range(2)]
    for story in stories:
        await story.quoted()
    jobs = world.database(BILLING)["jobs"]
    await jobs.update_many({"_id": {"$in": [story.job for story in stories]}}, {"$inc": {"held_micro": 1}})
    found = await Audit(world.database(BILLING), at_once=1).run()
    await jobs.update_many({"_id": {"$in": [story.job for story in stories]}}, {"$inc": {"held_micro": -1}})
    assert all(any(line.startswith(f"job {story.job}: ") for line in found.wrong) for story in stories)


async def test_a_quote_nobody_answers_expires(world: World, one: OneService) -> None:
    await one.running(FRAMELEND_QUOTE_SECONDS="1")
    story = await Story(world).opened()
    await story.quoted()
    assert (await world.hear(QuoteExpired, job=story.job)).version == 1
    await world.say(INTAKE, story.accepted())
    assert "expired" in (await world.hear(HoldRefused, job=story.job)).text
