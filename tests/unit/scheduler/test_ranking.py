"""Whose turn it is: nobody starves at any bid, equals are equal, and deadlines are kept without harm for nothing."""

from collections import Counter
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.values import Limits
from services.scheduler.domain.job import Job
from services.scheduler.domain.ranking import Farm, Turns, lacking, weight
from tests.unit.scheduler.builders import NOW, POLICY, WU, a_sampled_job, a_submission, later

FARM = Farm(slots=10, speed=10 * 60 * WU)
"""Ten agents of the reference's speed."""


def due(seconds: float, job: str = "due", last: int = 100, account: str = "hurried", **changes: Any) -> Job:
    asked = a_submission(job=job, account=account, limits=Limits(deadline=later(seconds)))
    return a_sampled_job(last, job=job, asked=asked, account=account, **changes)


def turns(jobs: list[Job], running: dict[str, int] | None = None, now: datetime = NOW) -> Turns:
    return Turns({job.job: job for job in jobs}, Counter(running or {}), {}, now, POLICY)


def given_out(jobs: list[Job], slots: int, rounds: int) -> Counter[str]:
    """How many chunks each job gets while `slots` slots are given anew every minute, one after the other."""
    found: Counter[str] = Counter()
    held: list[str] = []
    served: dict[str, datetime] = {}
    for at in range(rounds):
        now = later(at * 60 / slots)
        held = held[1:] if len(held) == slots else held
        round_ = Turns({job.job: job for job in jobs}, Counter(held), served, now, POLICY)
        chosen = min((job.job for job in jobs), key=round_.rank)
        served[next(job.account for job in jobs if job.job == chosen)] = now
        held.append(chosen)
        found[chosen] += 1
    return found


@given(bids=st.lists(st.integers(1, 10**12), min_size=2, max_size=5), slots=st.sampled_from((1, 2, 3, 10, 40)))
@settings(max_examples=15, deadline=None)
def test_at_any_bid_everyone_gets_a_twentieth_of_a_fair_share(bids: list[int], slots: int) -> None:
    jobs = [a_sampled_job(job=f"j{at}", account=f"r{at}", bid=bid) for at, bid in enumerate(bids)]
    rounds = 900
    found = given_out(jobs, slots, rounds)
    assert all(found[job.job] >= 0.05 * rounds / len(jobs) - 1 for job in jobs), f"{found} (less one: the test ends somewhere)"


@given(renters=st.integers(2, 6), slots=st.integers(1, 30))
@settings(max_examples=15, deadline=None)
def test_equal_renters_get_equal_shares_however_many_jobs_they_have(renters: int, slots: int) -> None:
    jobs = [a_sampled_job(job=f"j{at}", account=f"r{at}") for at in range(renters)]
    many = [a_sampled_job(job=f"more-{at}", account="r0") for at in range(3)]
    found = given_out([*jobs, *many], slots, 300)
    by_renter = [found["j0"] + sum(found[one.job] for one in many), *(found[job.job] for job in jobs[1:])]
    assert max(by_renter) - min(by_renter) <= slots + 1


def test_a_bid_counts_by_its_square_and_never_below_a_twentieth() -> None:
    assert [weight(bid, 100, POLICY) for bid in (100, 50, 10, 1)] == [100, 25, 5, 5]


def test_twice_the_bid_gets_four_times_the_slots() -> None:
    found = given_out([a_sampled_job(job="a", account="a", bid=100), a_sampled_job(job="b", account="b", bid=200)], 50, 1000)
    assert 3.5 < found["b"] / found["a"] < 4.5


def test_a_renters_own_jobs_go_by_his_bids() -> None:
    low, high = a_sampled_job(job="low", bid=100, created_at=later(-9000)), a_sampled_job(job="high", bid=101)
    assert min(("low", "high"), key=turns([low, high]).rank) == "high"


# --- deadlines


def test_a_job_lacks_as_many_slots_as_its_deadline_asks_for_beyond_those_it_has() -> None:
    job = due(POLICY.deadline_reserve + 50)  # 100 WU in 50 s, and a quarter more to be sure: 2.5 slots
    assert lacking(job, 0, FARM, NOW, POLICY) == 3
    assert lacking(job, 2, FARM, NOW, POLICY) == 1
    assert lacking(job, 3, FARM, NOW, POLICY) == 0
    assert lacking(a_sampled_job(100), 0, FARM, NOW, POLICY) == 0, "no deadline"


def test_a_deadline_out_of_reach_gets_nothing_before_others() -> None:
    assert lacking(due(POLICY.deadline_reserve + 5), 0, FARM, NOW, POLICY) == 0
    assert lacking(due(POLICY.deadline_reserve - 1), 0, FARM, NOW, POLICY) == 0
    assert lacking(due(-1), 0, FARM, NOW, POLICY) == 0


def test_a_job_that_would_be_late_goes_before_any_bid_with_just_the_slots_it_lacks() -> None:
    rich = a_sampled_job(job="rich", account="rich", bid=10**9)
    now = turns([rich, due(POLICY.deadline_reserve + 50)], {"due": 1})
    now.hurry(FARM)
    order = []
    for _ in range(4):
        chosen = min(("rich", "due"), key=now.rank)
        now.note(chosen)
        order.append(chosen)
    assert order == ["due", "due", "rich", "rich"]


def slots_won(cheap: Job) -> int:
    """Of ten, beside a renter who bids a million times as much."""
    now = turns([a_sampled_job(10_000, job="rich", account="rich", bid=10**6), cheap])
    now.hurry(FARM)
    won: Counter[str] = Counter()
    for _ in range(10):
        first = min(("rich", "cheap"), key=now.rank)
        now.note(first)
        won[first] += 1
    return won["cheap"]


def test_a_deadline_gives_right_of_way_only_if_it_was_in_reach_when_the_accepted_price_was_made() -> None:
    seconds = POLICY.deadline_reserve + 1000
    asked: dict[str, Any] = {"job": "cheap", "last": 6400, "account": "cheap", "bid": 1}
    assert slots_won(due(seconds, **asked)) == 8, "control: it was"
    assert slots_won(due(seconds, promised=None, **asked)) <= 1, "set afterwards"
    assert slots_won(due(seconds, promised=later(10 * seconds), **asked)) <= 1, "moved nearer: what was promised is far"
    assert slots_won(due(seconds, promised=later(seconds // 2), **asked)) == 8, "moved away"


def test_one_that_was_not_promised_orders_its_renters_own_jobs() -> None:
    jobs = [
        due(2000, "later", 6400, promised=None),
        due(1200, "sooner", 6400, promised=None),
        a_sampled_job(job="any", account="hurried"),
    ]
    now = turns([*jobs, a_sampled_job(job="other", account="other")], {"sooner": 3})
    before = turns([*jobs, a_sampled_job(job="other", account="other")], {"sooner": 3})
    now.hurry(FARM)
    assert sorted(("later", "sooner", "any"), key=now.rank) == ["sooner", "later", "any"]
    assert min(("later", "sooner", "any"), key=before.rank) != "sooner", "control"
    assert [now.rank(one)[:2] for one in ("sooner", "other")] == [before.rank(one)[:2] for one in ("sooner", "other")]


def test_without_hurry_the_same_job_comes_last() -> None:
    rich = a_sampled_job(job="rich", account="rich", bid=10**9)
    now = turns([rich, due(POLICY.deadline_reserve + 50)], {"due": 1})
    assert min(("rich", "due"), key=now.rank) == "rich"


def test_urgent_jobs_leave_a_tenth_of_the_farm_to_the_others() -> None:
    jobs = [due(POLICY.deadline_reserve + 20, f"due-{at}", account=f"h{at}") for at in range(3)]  # six slots each
    other = a_sampled_job(job="other", account="other")
    now = turns([*jobs, other])
    now.hurry(FARM)
    found: Counter[str] = Counter()
    for _ in range(FARM.slots):
        chosen = min((job.job for job in (*jobs, other)), key=now.rank)
        now.note(chosen)
        found[chosen] += 1
    assert found["other"] == 1


def test_of_urgent_jobs_the_earliest_deadline_goes_first() -> None:
    later_, sooner = due(POLICY.deadline_reserve + 60, "later"), due(POLICY.deadline_reserve + 50, "sooner", account="z")
    now = turns([later_, sooner], {"sooner": 1})
    now.hurry(FARM)
    assert min(("later", "sooner"), key=now.rank) == "sooner"
