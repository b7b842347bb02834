"""How large chunks are, and who gets what."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.grants import is_good, sign
from contracts.values import Curve, Kind, Knot, count, frames
from services.scheduler.domain import spans
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.assignment import assigned
from services.scheduler.domain.chunk import Chunk, Ending, Failure, brought, claimed, gave_up
from services.scheduler.domain.cutting import chunk_id, chunk_of, cut, inspection
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board, Offer
from services.scheduler.domain.measured import Measured
from services.scheduler.domain.rows import Interruptions
from services.scheduler.domain.states import AgentState, JobState
from tests.unit.scheduler.builders import (
    GIB,
    IMAGE,
    NOW,
    POLICY,
    WU,
    a_chunk,
    a_hand,
    a_holder,
    a_job,
    a_sampled_job,
    an_agent,
    later,
    span,
)

FAST, SLOW = 60 * WU, 6 * WU


# --- ranges


@given(first=st.integers(-50, 50), number=st.integers(1, 60), step=st.integers(1, 5), take=st.integers(0, 70))
def test_taking_frames_off_the_front_loses_none(first: int, number: int, step: int, take: int) -> None:
    whole = span(first, first + (number - 1) * step, step)
    head, rest = spans.taken(whole, take)
    assert [*frames(head), *frames(rest)] == list(frames(whole))
    assert count(head) == min(take, number)


@given(number=st.integers(1, 40), step=st.integers(1, 5), removed=st.sets(st.integers(0, 200), max_size=6))
def test_removing_frames_leaves_all_others(number: int, step: int, removed: set[int]) -> None:
    whole = span(0, (number - 1) * step, step)
    assert list(frames(spans.without(whole, removed))) == [frame for frame in frames(whole) if frame not in removed]


# --- cutting


def sizes(job: Job, speeds: list[int], slots: int = 1) -> list[int]:
    after, _ = cut(job, speeds, slots, (), POLICY)
    return [count(one.frames) for one in after.cuts]


def test_a_single_slot_gets_all_that_fits_into_a_chunk() -> None:
    assert sizes(a_sampled_job(40), [FAST, FAST], slots=1) == [40]
    assert sizes(a_sampled_job(100), [FAST, FAST], slots=1) == [60, 40]


def test_a_single_slot_leaves_no_small_rest_and_several_do_as_before() -> None:
    assert (sizes(a_sampled_job(90), [FAST, FAST]), sizes(a_sampled_job(151), [FAST] * 3)) == ([90], [60, 60, 31])
    assert sizes(a_sampled_job(90), [FAST], slots=2) == [22]


def test_a_chunk_aims_at_a_minute_on_the_agent_that_asks() -> None:
    assert sizes(a_sampled_job(10_000), [FAST, SLOW]) == [60, 6]


def test_chunks_follow_the_curve() -> None:
    curve = Curve(knots=(Knot(frame=1, micro_wu=WU), Knot(frame=101, micro_wu=101 * WU)))
    assert sizes(a_sampled_job(10_000, curve=curve), [FAST, FAST]) == [10, 5], "50 or 65 WU: what is nearer to a minute"


def test_chunks_get_smaller_towards_the_end_and_never_empty() -> None:
    found = sizes(a_sampled_job(100), [FAST] * 60, slots=4)
    assert found[0] == 12
    assert found == sorted(found, reverse=True)
    assert found[-1] == 1
    assert sum(found) == 100


def test_a_chunk_has_at_most_two_hundred_frames() -> None:
    assert sizes(a_sampled_job(10_000), [10_000 * WU]) == [200]


@given(last=st.integers(1, 300), speeds=st.lists(st.integers(1, 10**9), max_size=40))
def test_every_frame_is_cut_once_under_its_own_name(last: int, speeds: list[int]) -> None:
    job = a_sampled_job(last)
    after, _ = cut(job, speeds, 3, (), POLICY)
    found = [frame for one in after.cuts for frame in frames(one.frames)]
    assert [*found, *frames(after.uncut)] == list(range(1, last + 1))
    assert len({one.chunk for one in after.cuts}) == len(after.cuts)


def test_the_first_cut_makes_a_queued_job_render() -> None:
    after, (told,) = cut(a_sampled_job(), [FAST], 1, (), POLICY)
    assert after.state is JobState.RENDERING
    assert told.model_dump()["state"] == "rendering"


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED, JobState.QUOTED])
def test_nothing_is_cut_from_a_job_that_is_not_to_render(state: JobState) -> None:
    assert cut(a_sampled_job(state=state), [FAST], 1, (), POLICY)[0].cuts == ()


def test_cuts_are_kept_until_their_chunks_are_known_to_exist() -> None:
    job, _ = cut(a_sampled_job(), [SLOW], 1, (), POLICY)
    (first,) = job.cuts
    kept, _ = cut(job, [SLOW], 1, (), POLICY)
    assert kept.cuts[0] == first
    forgotten, _ = cut(job, [SLOW], 1, {first.chunk}, POLICY)
    assert first.chunk not in [one.chunk for one in forgotten.cuts]


def test_names_of_chunks_stay_within_what_an_id_may_be() -> None:
    assert chunk_id("job", Kind.RENDER, -12, 3) == "job-r3-m12"
    assert len(chunk_id("j" * 64, Kind.RENDER, -1_048_574, 1000)) <= 64


# --- matching


def a_board(jobs: list[Job], fleet: list[Agent], queued: list[Chunk] | None = None, **changes: Any) -> Board:
    fields = {"now": NOW, "policy": POLICY, "image": IMAGE, **changes}
    return Board(jobs={job.job: job for job in jobs}, fleet=fleet, queued=queued or [], **fields)


def offered(board: Board, *agents: Agent) -> list[str]:
    return [offer.job for offer in board.offers(agents)]


def test_one_offer_for_each_free_slot() -> None:
    agent = an_agent(slots=3, hands=(a_hand("busy", job="else"),))
    board = a_board([a_sampled_job()], [agent])
    assert board.offers([agent]) == [Offer("ann", "job"), Offer("ann", "job")]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": AgentState.DRAINING},
        {"images": ()},
        {"hardware": an_agent().hardware.model_copy(update={"memory_bytes": GIB - 1})},  # type: ignore[union-attr]
        {"interruptions": (Interruptions("job", 0, later(10)),)},
        {"closed_since": NOW},
    ],
)
def test_an_agent_that_cannot_gets_nothing(changes: dict[str, Any]) -> None:
    agent, other = an_agent(**changes), an_agent("other")
    assert a_board([a_sampled_job()], [agent, other]).offers([agent]) == []


def test_the_higher_bid_goes_first() -> None:
    cheap, dear = a_sampled_job(job="cheap", bid=100, created_at=later(-100)), a_sampled_job(job="dear", bid=101)
    agent = an_agent()
    assert offered(a_board([cheap, dear], [agent]), agent) == ["dear"]


def test_at_equal_bids_renters_take_turns_and_a_small_job_starts_at_once() -> None:
    huge = a_sampled_job(job="huge", last=10_000, created_at=later(-1000))
    small = a_sampled_job(job="small", last=4, account="bert")
    agents = [an_agent(f"a{number}") for number in range(4)]
    found = offered(a_board([huge, small], agents), *agents)
    assert Counter(found) == {"huge": 2, "small": 2}
    board = a_board([huge, small], agents, running=Counter({"huge": 500}))
    assert offered(board, *agents) == ["small"] * 4


def test_returned_chunks_and_samples_go_before_new_ones_of_the_same_rank() -> None:
    job = a_sampled_job()
    agent = an_agent()
    (offer,) = a_board([job], [agent], [a_chunk()]).offers([agent])
    assert offer.chunk is not None


def test_what_leads_to_a_quote_goes_before_a_higher_bid() -> None:
    sampling = a_job("new", JobState.ESTIMATING, bid=1, picture=a_sampled_job().picture, memory_bytes=GIB)
    board = a_board([a_sampled_job(bid=10_000), sampling], [an_agent()], [a_chunk(1, "s", "new", kind=Kind.SAMPLE)])
    assert offered(board, an_agent()) == ["new"]


def test_house_work_goes_to_house_agents_only() -> None:
    house, ann = an_agent("house", house=True), an_agent("ann")
    job = a_job(state=JobState.INSPECTING)
    look = a_chunk(chunk="look", kind=Kind.INSPECT, frames=(), house=True)
    assert a_board([job], [house, ann], [look]).offers([ann]) == []
    assert [one.agent for one in a_board([job], [house, ann], [look]).offers([house, ann])] == ["house"]


def test_the_house_agent_renders_only_when_no_lender_can() -> None:
    house, ann = an_agent("house", house=True), an_agent("ann")
    job = a_sampled_job()
    assert a_board([job], [house, ann]).offers([house]) == []
    assert len(a_board([job], [house]).offers([house])) == 1
    waited = a_chunk(opened_at=later(-61))
    assert len(a_board([job], [house, ann], [waited]).offers([house])) == 1


def test_samples_of_a_job_go_to_several_agents() -> None:
    job = a_job(state=JobState.ESTIMATING, picture=a_sampled_job().picture, memory_bytes=GIB)
    samples = [a_chunk(1, f"s{number}", kind=Kind.SAMPLE) for number in range(4)]
    ann, bob = an_agent("ann", slots=4), an_agent("bob", slots=4)
    found = Counter(offer.agent for offer in a_board([job], [ann, bob], samples).offers([ann, bob]))
    assert found["ann"] >= 1
    assert found["bob"] >= 1
    alone = a_board([job], [ann], samples).offers([ann])
    assert len(alone) == 4, "with too few agents the same one does more"


def test_an_agent_that_has_a_sample_leaves_the_next_to_others_for_a_while() -> None:
    job = a_job(
        state=JobState.ESTIMATING, picture=a_sampled_job().picture, memory_bytes=GIB,
        measured=(Measured("x", "ann", Kind.SAMPLE, 1),),
    )  # fmt: skip
    ann, bob = an_agent("ann"), an_agent("bob", slots=1, hands=(a_hand("busy", job="else"),))
    sample = a_chunk(1, "s", kind=Kind.SAMPLE)
    assert a_board([job], [ann, bob], [sample]).offers([ann]) == []
    assert len(a_board([job], [ann, bob], [sample], now=later(11)).offers([ann])) == 1
    tried = a_chunk(1, "s", kind=Kind.SAMPLE, failed_on=(Failure("bob", NOW),))
    assert len(a_board([job], [ann, bob], [tried]).offers([ann])) == 1, "the other one has just failed at it"


def test_who_has_failed_on_a_chunk_waits_and_others_do_not() -> None:
    job, tried = a_sampled_job(uncut=()), a_chunk(failed_on=(Failure("ann", NOW),))
    ann, bob = an_agent("ann"), an_agent("bob")
    assert a_board([job], [ann, bob], [tried], now=later(14)).offers([ann]) == []
    assert len(a_board([job], [ann, bob], [tried], now=later(14)).offers([bob])) == 1
    assert len(a_board([job], [ann, bob], [tried], now=later(15)).offers([ann])) == 1


def test_a_chunk_that_ran_out_of_memory_goes_to_an_agent_with_twice_as_much() -> None:
    job = a_sampled_job(memory_bytes=3 * GIB, uncut=())
    small, large = an_agent("small"), an_agent("large", hardware=an_agent().hardware.model_copy(update={"memory_bytes": 8 * GIB}))  # type: ignore[union-attr]
    tried = a_chunk(memory_factor=2)
    assert a_board([job], [small, large], [tried]).offers([small]) == []
    assert len(a_board([job], [small, large], [tried]).offers([large])) == 1
    assert len(a_board([job], [small], [tried]).offers([small])) == 1, "the largest there is tries"


def test_a_job_that_nobody_can_take_says_what_it_waits_for() -> None:
    job = a_sampled_job(memory_bytes=3 * GIB)
    look = a_chunk(chunk="look", kind=Kind.INSPECT, frames=(), house=True)
    assert a_board([job], [an_agent()]).waits() == {}
    assert "none is online" in a_board([job], []).waits()["job"]
    assert "house" in a_board([a_job(state=JobState.INSPECTING)], [an_agent()], [look]).waits()["job"]
    barred = an_agent(interruptions=(Interruptions("job", 0, later(10)),))
    assert "enough memory" in a_board([job], [barred]).waits()["job"]
    assert a_board([job], [], running=Counter({"job": 1})).waits() == {}


# --- assignments


def test_an_assignment_says_everything_and_is_signed_only_at_the_last_moment() -> None:
    job, agent = a_sampled_job(), an_agent()
    chunk = chunk_of(job, cut(job, [SLOW], 1, (), POLICY)[0].cuts[0], NOW)
    holder, told = assigned(job, chunk, agent, "attempt", IMAGE, NOW, POLICY)
    assert told.grant.mac == ""
    assert (told.grant.agent, told.grant.attempt, told.grant.version) == ("ann", "attempt", 1)
    assert holder.last_end == later(6 * 120 + 120)
    assert told.grant.until == holder.last_end + POLICY.after("grace")
    assert holder.hard_end == later(120 + 120), "the first frame's"
    assert (told.max_seconds_per_frame, told.lease_seconds, told.budget_seconds) == (120, 30, None)
    assert told.earns_micro == 6 * 100, "six frames of one WU at the renter's bid"
    keys = {"1": b"k" * 32}
    assert not is_good(told.grant, keys, NOW)
    assert is_good(sign(told.grant, keys), keys, NOW)


def test_a_costly_frame_may_take_ten_times_its_estimate() -> None:
    job = a_sampled_job(curve=Curve(knots=(Knot(frame=1, micro_wu=50 * WU),)))
    _, told = assigned(job, a_chunk(1, version=1), an_agent(micro_wu_per_minute=60 * WU), "attempt", IMAGE, NOW, POLICY)
    assert told.max_seconds_per_frame == 500


def test_an_inspection_is_small_and_short_and_never_more_than_the_agent_lends() -> None:
    job = inspection(a_job())
    chunk = chunk_of(job, job.cuts[0], NOW)
    house = an_agent(house=True, hardware=an_agent().hardware.model_copy(update={"memory_bytes": GIB}))  # type: ignore[union-attr]
    _, told = assigned(job, chunk, house, "attempt", IMAGE, NOW, POLICY)
    assert (told.grant.frames, told.budget_seconds, told.memory_bytes, told.scale_percent) == ((), 60, GIB, 100)


def test_only_missing_frames_are_assigned_again() -> None:
    chunk = claimed(a_chunk(), a_holder())
    chunk, _ = brought(chunk, "first", "ann", [1, 3], NOW)
    chunk = gave_up(chunk, "first", Ending.LOST, NOW)
    _, told = assigned(a_sampled_job(), chunk, an_agent(), "second", IMAGE, NOW, POLICY)
    assert list(frames(told.grant.frames)) == [2, 4]
