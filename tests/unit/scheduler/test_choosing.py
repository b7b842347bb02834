"""Lenders who choose by hand: nothing without their yes, and a yes speaks for their own machines only."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import ChunkAssigned, Event, JobOffered, OfferAnswered, OfferWithdrawn
from contracts.values import Acceptance, Audience
from services.chassis.repository import Decide
from services.chassis.verdicts import NotYet, SenderFault
from services.scheduler.domain import choosing as domain
from services.scheduler.domain import job as jobs
from services.scheduler.domain.agent import Agent, lost
from services.scheduler.domain.choosing import Choice, Foreign
from services.scheduler.domain.job import Job, Sample, bid
from services.scheduler.domain.states import CHOICE_MOVES, ChoiceState, JobState
from tests.unit.scheduler.builders import GIB, NOW, WU, a_job, a_sampled_job, a_submission, an_agent, later
from tests.unit.scheduler.office import Office

BY_HAND = Acceptance(by_hand=True)
OWNER = "owner-of-ann"


def a_choice(**changes: Any) -> Choice:
    choice, _ = domain.asked(OWNER, "job", domain.facts_of(a_sampled_job(), ["ann"]))
    return Choice(**{**vars(choice), **changes})


def an_answer(accepted: bool = True, revision: int = 1, **changes: Any) -> OfferAnswered:
    return OfferAnswered(**{"owner": OWNER, "job": "job", "revision": revision, "accepted": accepted, **changes})


async def an_office(*agents: Agent, job: Job | None = None) -> Office:
    office = Office()
    for agent in agents:
        await office.agents.add(agent, ())
    known = job or a_sampled_job()
    await office.jobs.store.add(known.job, known)
    await office.sweep()
    return office


def said(office: Office, kind: type[Event]) -> list[Any]:
    return [event for event in office.told if isinstance(event, kind)]


def _in(state: JobState) -> Decide[Job]:
    return lambda job, _: (replace(job, state=state), [])


def takers(office: Office) -> set[str]:
    return {event.grant.agent for event in said(office, ChunkAssigned)}


# --- the table and its decisions


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=8))
def test_of_answers_in_any_order_and_number_the_one_with_the_highest_revision_counts(said: list[tuple[int, bool]]) -> None:
    by_revision = dict(said)
    choice = a_choice()
    for revision, _ in said:
        choice = domain.answered(choice, an_answer(by_revision[revision], revision))
    expected = ChoiceState.ASKED
    if by_revision:
        expected = ChoiceState.ACCEPTED if by_revision[max(by_revision)] else ChoiceState.REJECTED
    assert choice.state is expected


def test_a_job_that_is_taken_up_again_finds_its_lenders_as_they_were_with_what_they_said_last() -> None:
    ended, _ = domain.over(domain.answered(a_choice(), an_answer()), "failed", NOW)
    late = domain.answered(ended, an_answer(False, 2))
    for choice, state in ((domain.over(a_choice(), "failed", NOW)[0], "asked"), (ended, "accepted"), (late, "rejected")):
        again, told = domain.asked_again(choice, choice.facts)
        assert (again.state, again.ended_at) == (state, None)
        assert [event.revision for event in told] == [again.revision]  # type: ignore[attr-defined]
        assert domain.asked_again(again, again.facts) == (again, [])


def test_every_state_has_its_moves_and_what_is_over_stays_over_while_its_job_is() -> None:
    assert set(CHOICE_MOVES) == set(ChoiceState)
    over, told = domain.over(a_choice(), "cancelled", NOW)
    assert [event.reason for event in told if isinstance(event, OfferWithdrawn)] == ["cancelled"]
    assert domain.over(over, "again", NOW) == (over, [])
    assert domain.answered(over, an_answer()).state is ChoiceState.OVER
    assert domain.known_better(over, domain.facts_of(a_sampled_job(bid=900), ["ann"])) == (over, [])


def test_the_revision_of_what_is_told_grows_with_every_word() -> None:
    choice, first = domain.asked(OWNER, "job", domain.facts_of(a_sampled_job(), ["ann"]))
    same, none = domain.known_better(choice, domain.facts_of(a_sampled_job(), ["ann"]))
    better, second = domain.known_better(same, domain.facts_of(a_sampled_job(), ["amy"]))
    _, last = domain.over(better, "", NOW)
    assert none == []
    assert [event.revision for event in (*first, *second, *last)] == [1, 2, 3]  # type: ignore[attr-defined]
    assert better.facts.agents == ("amy", "ann")


def test_an_answer_in_somebody_elses_name_is_refused() -> None:
    with pytest.raises(Foreign):
        domain.answered(a_choice(), an_answer(owner="mallory"))


def test_a_yes_is_for_its_own_lenders_machines_and_of_those_for_the_named_ones() -> None:
    yes = domain.answered(a_choice(), an_answer())
    assert domain.chosen(an_agent("ann"), [yes]) == ("job",)
    assert domain.chosen(an_agent("bob"), [yes]) == ()
    named = domain.answered(yes, an_answer(revision=2, agents=("amy",)))
    assert domain.chosen(an_agent("ann"), [named]) == ()
    assert domain.chosen(replace(an_agent("amy"), owner=OWNER), [named]) == ("job",)


def test_a_lender_is_asked_about_the_best_paid_jobs_and_no_renter_fills_his_list_alone() -> None:
    greedy = [a_sampled_job(job=f"greedy-{n}", account="mallory", bid=1_000) for n in range(80)]
    others = [a_sampled_job(job=f"other-{n}", account=f"renter-{n}", bid=n + 1) for n in range(80)]
    found = domain.selected([*greedy, *others], [])
    assert len(found) == domain.MOST_ASKED
    assert sum(job.account == "mallory" for job in found) == domain.MOST_OF_RENTER
    assert min(bid(job) for job in found) == 80 - (domain.MOST_ASKED - domain.MOST_OF_RENTER) + 1
    open_ones = [a_choice(job=f"known-{n}") for n in range(domain.MOST_ASKED)]
    assert domain.selected(others, open_ones) == []
    rejected = [a_choice(job=f"known-{n}", state=ChoiceState.REJECTED) for n in range(domain.MOST_ASKED)]
    assert len(domain.selected(others, rejected)) == domain.MOST_ASKED


# --- in the scheduler


async def test_a_machine_by_hand_gets_nothing_before_its_lenders_yes_and_everything_after_it() -> None:
    office = await an_office(an_agent(accepts=BY_HAND))
    assert takers(office) == set()
    offer = said(office, JobOffered)[0]
    assert (offer.owner, offer.job, offer.renter, offer.agents) == (OWNER, "job", "ada", ("ann",))
    assert (offer.frames, offer.engine, offer.memory_bytes, offer.price) == (100, "CYCLES", GIB, 100)
    assert offer.micro_wu.expected == 100 * WU
    await office.hear(an_answer())
    assert takers(office) == {"ann"}
    assert said(office, ChunkAssigned)[0].chosen


async def test_without_the_rule_the_same_machine_is_not_asked_and_takes_it_at_once() -> None:
    office = await an_office(an_agent(accepts=Acceptance()))
    assert takers(office) == {"ann"}
    assert said(office, JobOffered) == []
    assert not said(office, ChunkAssigned)[0].chosen


async def test_the_renter_reads_that_a_lenders_yes_is_missing() -> None:
    office = await an_office(an_agent(accepts=BY_HAND))
    waits = (await office.desk.dispatch.board()).waits()
    assert waits == {"job": "waiting for a lender to say yes: those online who would take it choose by hand"}


async def test_what_the_rules_exclude_is_not_even_asked_about() -> None:
    office = await an_office(an_agent(accepts=Acceptance(by_hand=True, minimum_price=101)))
    assert said(office, JobOffered) == []
    too_small = await an_office(an_agent(accepts=BY_HAND), job=a_sampled_job(memory_bytes=1 << 40, ran_out_of_memory=True))
    assert said(too_small, JobOffered) != []  # the largest of the fleet may try


@pytest.mark.parametrize(("named", "asked"), [("owner-of-ann", True), ("owner-of-bob", False)])
async def test_only_whom_the_renter_allows_is_asked_and_sees_anything_of_the_job(named: str, asked: bool) -> None:
    submission = a_submission(allows=(Audience.NAMED,), lenders=(named,))
    office = await an_office(an_agent(accepts=BY_HAND), job=a_sampled_job(asked=submission))
    assert bool(said(office, JobOffered)) is asked


async def test_a_machine_that_pauses_is_asked_all_the_same() -> None:
    office = await an_office(an_agent(accepts=BY_HAND, slots=0))
    assert [offer.agents for offer in said(office, JobOffered)] == [("ann",)]


async def test_a_no_after_a_yes_keeps_further_chunks_away_also_from_a_machine_that_was_off_meanwhile() -> None:
    office = await an_office(an_agent(accepts=BY_HAND, slots=0))
    await office.hear(an_answer())
    assert (await office.desk.agent("ann")).chosen == ("job",)
    await office.agents.update("ann", lambda agent, _: lost(agent))
    await office.hear(an_answer(False, 2))
    assert (await office.desk.agent("ann")).chosen == ()


async def test_an_answer_for_anothers_machine_is_refused_and_changes_nothing() -> None:
    office = await an_office(an_agent(accepts=BY_HAND), an_agent("bob", accepts=BY_HAND))
    with pytest.raises(SenderFault):
        await office.hear(an_answer(agents=("bob",)))
    with pytest.raises(SenderFault):
        await office.hear(an_answer(agents=("nobody",)))
    await office.sweep()
    assert takers(office) == set()
    await office.hear(an_answer(owner="owner-of-bob", agents=("bob",)))
    assert takers(office) == {"bob"}


async def test_an_answer_to_a_question_not_heard_of_waits_and_one_about_a_forgotten_job_is_dropped() -> None:
    office = await an_office(job=a_job(state=JobState.CANCELLED))
    await office.hear(an_answer())
    with pytest.raises(NotYet):
        await office.hear(an_answer(job="later"))


async def test_the_offer_is_withdrawn_when_the_job_ends_and_forgotten_after_a_day() -> None:
    office = await an_office(an_agent(accepts=BY_HAND))
    await office.hear(an_answer())
    await office.jobs.update("job", lambda job, _: jobs.cancelled(job, "cancelled by its renter"))
    office.desk.dispatch.stale()
    await office.sweep()
    assert [(one.reason, one.revision) for one in said(office, OfferWithdrawn)] == [("cancelled by its renter", 2)]
    await office.sweep()
    assert (await office.desk.agent("ann")).chosen == ()
    assert len(said(office, OfferWithdrawn)) == 1
    office.clock.at = later(2 * 86_400)
    await office.agents.update("ann", lambda agent, _: (replace(agent, seen_at=office.clock.at), []))
    await office.sweep()
    assert office.choices.store.states == {}


async def test_what_is_offered_again_is_told_with_a_higher_revision_than_its_withdrawal() -> None:
    office = await an_office(an_agent(accepts=BY_HAND))
    for state in (JobState.FAILED, JobState.QUEUED):
        await office.jobs.update("job", _in(state))
        office.desk.dispatch.stale()
        await office.sweep()
        await office.sweep()
    told = [(type(one), one.revision) for one in office.told if isinstance(one, JobOffered | OfferWithdrawn)]
    assert told == [(JobOffered, 1), (OfferWithdrawn, 2), (JobOffered, 3)]


async def test_a_sampled_picture_and_an_estimate_are_told_once_they_are_there() -> None:
    office = await an_office(an_agent(accepts=BY_HAND), job=a_sampled_job(micro_wu=None))
    await office.jobs.update("job", lambda job, _: (replace(job, samples=(Sample(7, False, WU, kept=True),)), []))
    office.desk.dispatch.stale()
    await office.sweep()
    assert [(offer.thumbnail, offer.micro_wu, offer.revision) for offer in said(office, JobOffered)] == [
        (None, None, 1),
        (7, None, 2),
    ]


async def test_a_crash_between_the_answer_and_the_machine_is_made_good_by_the_sweep() -> None:
    office = await an_office(an_agent(accepts=BY_HAND))
    await office.choices.update(f"{OWNER}:job", lambda choice, _: (domain.answered(choice, an_answer()), []))
    assert takers(office) == set()
    await office.sweep()
    assert takers(office) == {"ann"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_yes_no_yes_ends_as_yes_in_any_order_also_repeated(order: tuple[int, ...]) -> None:
    office = await an_office(an_agent(accepts=BY_HAND, slots=0))
    answers = [an_answer(True, 1), an_answer(False, 2), an_answer(True, 3)]
    for at in (*order, *order):
        await office.hear(answers[at])
    assert (await office.desk.agent("ann")).chosen == ("job",)
