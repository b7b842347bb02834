"""Whom a renter allows gets his work, in his order, and nobody else does."""

from typing import Any

import pytest

from contracts.values import Audience, Kind
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board
from services.scheduler.domain.standing import Standing
from tests.unit.scheduler.builders import IMAGE, NOW, POLICY, WU, a_chunk, a_sampled_job, a_submission, an_agent, later

OWN = an_agent("mine", owner="ada")
NAMED = an_agent("bobs", owner="bob")
TRUSTED = an_agent(
    "well-known", standing=Standing(verified=POLICY.trust_frames, renters=("b", "c", "d"), since=later(-POLICY.trust_age))
)
STRANGER = an_agent("stranger")
FLEET = (OWN, NAMED, TRUSTED, STRANGER)


def a_job_for(*allows: Audience, last: int = 1000, **asked: Any) -> Job:
    return a_sampled_job(last, asked=a_submission(allows=allows, **asked))


def board(job: Job, *fleet: Agent, queued: list[Any] | None = None) -> Board:
    return Board(NOW, POLICY, IMAGE, {job.job: job}, fleet, queued or [])


def takers(job: Job, *fleet: Agent) -> list[str]:
    return [offer.agent for offer in board(job, *fleet).offers(fleet)]


@pytest.mark.parametrize(
    ("allows", "lenders", "able"),
    [
        ((), (), {"mine", "bobs", "well-known", "stranger"}),
        ((Audience.ANYONE,), (), {"mine", "bobs", "well-known", "stranger"}),
        ((Audience.OWN,), (), {"mine"}),
        ((Audience.NAMED,), ("bob",), {"bobs"}),
        ((Audience.NAMED,), ("bobs", "mine"), {"bobs", "mine"}),
        ((Audience.TRUSTED,), (), {"well-known"}),
        ((Audience.OWN, Audience.TRUSTED), (), {"mine", "well-known"}),
    ],
)
def test_only_those_whom_the_renter_allows_are_given_his_work(
    allows: tuple[Audience, ...], lenders: tuple[str, ...], able: set[str]
) -> None:
    job = a_job_for(*allows, lenders=lenders)
    assert set(takers(job, *FLEET)) == able
    assert {agent.agent for agent in FLEET if board(job, agent).may_have(agent, job, a_chunk())} == able
    sample = a_chunk(kind=Kind.SAMPLE)
    assert {agent.agent for agent in FLEET if board(job, *FLEET).able(agent, job, sample)} == able


def test_whoever_he_likes_best_is_served_first_however_slow() -> None:
    """Control: without an order the fastest gets the one frame."""
    slow = an_agent("mine", owner="ada", micro_wu_per_minute=WU)
    fast = an_agent("stranger", micro_wu_per_minute=600 * WU)
    assert takers(a_job_for(last=1), slow, fast)[0] == "stranger"
    assert takers(a_job_for(Audience.OWN, Audience.ANYONE), slow, fast) == ["mine", "stranger"]


def test_the_next_best_stand_back_only_while_a_better_one_is_free() -> None:
    job = a_job_for(Audience.OWN, Audience.ANYONE)
    both = board(job, OWN, STRANGER)
    assert not both.may_have(STRANGER, job, a_chunk())
    for changes in ({"slots": 0}, {"images": ()}, {"closed_since": NOW}):
        absent = an_agent("mine", owner="ada", **changes)
        assert board(job, absent, STRANGER).may_have(STRANGER, job, a_chunk()), changes


def test_the_house_inspects_and_confirms_whatever_is_allowed_and_renders_only_for_those_who_trust_it() -> None:
    house = an_agent("house", house=True, owner="operator")
    for allows, renders in (((Audience.OWN,), False), ((Audience.TRUSTED,), True), ((Audience.ANYONE,), True)):
        job = a_job_for(*allows)
        assert board(job, house).may_have(house, job, a_chunk(house=True))
        assert board(job, house).may_have(house, job, None) is renders


def test_a_job_that_nobody_allowed_is_there_for_says_so() -> None:
    waits = board(a_job_for(Audience.OWN), STRANGER).waits()
    assert waits == {"job": "waiting for a lender you allow: none of those online is one"}


def test_an_agent_that_has_the_bundle_is_asked_before_one_that_is_hardly_faster() -> None:
    job = a_sampled_job(1)
    assert job.asked is not None
    there = an_agent("there", bundles=(job.asked.bundle,))
    for speed, first in ((62, "there"), (70, "away")):
        away = an_agent("away", micro_wu_per_minute=speed * WU)
        assert takers(job, there, away)[0] == first


def test_an_agent_that_often_leaves_is_asked_after_a_slower_one_that_stays() -> None:
    steady = an_agent("steady", micro_wu_per_minute=50 * WU, standing=Standing(reliability=95))
    for reliability, first in ((60, "steady"), (95, "flighty")):
        flighty = an_agent("flighty", standing=Standing(reliability=reliability))
        assert takers(a_sampled_job(1), steady, flighty)[0] == first


def test_an_agent_stays_with_the_bundle_it_has_where_that_costs_nobody_his_turn() -> None:
    mine = a_sampled_job(1000, job="mine", account="ada", asked=a_submission(job="mine", bundle="c" * 64))
    older = a_sampled_job(1000, job="older", account="ada", created_at=later(-10))
    poor = a_sampled_job(1000, job="poor", account="bob", created_at=later(-3600))
    agent = an_agent(bundles=("c" * 64,))
    for jobs, chosen in (([mine, older], "mine"), ([mine, poor], "poor")):
        found = Board(NOW, POLICY, IMAGE, {job.job: job for job in jobs}, (agent,), []).offers((agent,))
        assert [offer.job for offer in found] == [chosen]
