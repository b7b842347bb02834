"""What a renter wants of his job besides: the newest word stands, frames left out are not rendered, what failed is forgiven."""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Action, AttemptCancelled, ChunkAssigned, ChunkFailed, Fault, JobControlled, JobRendered, Wishes
from contracts.values import FrameRange, Kind, Limits, frames, ranges
from services.chassis.verdicts import NotYet
from services.scheduler.domain import job as jobs
from services.scheduler.domain import spans, wishes
from services.scheduler.domain.chunk import Chunk, Delivery, Failure, Tries
from services.scheduler.domain.job import Job
from services.scheduler.domain.ranking import Turns
from services.scheduler.domain.rows import Interruptions
from services.scheduler.domain.states import AgentState, ChunkState, JobState
from tests.unit.scheduler.builders import (
    NOW,
    POLICY,
    a_chunk,
    a_holder,
    a_job,
    a_sampled_job,
    a_submission,
    an_agent,
    later,
    span,
)
from tests.unit.scheduler.farm import SHORT, Farm
from tests.unit.scheduler.office import Office

WISHES = st.builds(
    Wishes,
    priority=st.integers(-100, 100),
    deadline=st.sampled_from([None, later(3600), later(7200)]),
    retries=st.integers(0, 3),
    left_out=st.frozensets(st.integers(1, 30), max_size=8).map(ranges),
)


def said(revision: int, wanted: Wishes | None = None, action: Action = Action.RESUME) -> JobControlled:
    return JobControlled(job="job", account="ada", revision=revision, action=action, by="ada", wishes=wanted)


def heard(job: Job | None, event: JobControlled) -> Job:
    return wishes.controlled(job, event, NOW)[0]


@given(st.lists(WISHES, min_size=1, max_size=6), st.integers(0, 10**6))
def test_in_any_order_and_repeated_the_newest_wishes_stand(wanted: list[Wishes], seed: int) -> None:
    events = [said(number + 1, one) for number, one in enumerate(wanted)]
    mixed = events * 2
    random.Random(seed).shuffle(mixed)
    job = a_sampled_job(last=30)
    for event in mixed:
        job = heard(job, event)
    assert job.asked is not None
    assert (job.wishes.priority, job.asked.limits.deadline) == (wanted[-1].priority, wanted[-1].deadline)
    left = set(frames(job.uncut))
    assert set(frames(job.wishes.left_out)) | left >= set(range(1, 31))
    assert not left & set(frames(wanted[-1].left_out)), "what the newest leaves out is out"


def test_wishes_do_not_move_a_job_that_is_over_or_has_only_been_cancelled() -> None:
    grave = heard(None, said(1, Wishes(priority=5), Action.CANCEL))
    assert grave.wishes == Wishes()
    over = a_job(state=JobState.COMPLETED)
    assert heard(over, said(1, Wishes(priority=5))).wishes == Wishes()


def test_an_event_without_wishes_leaves_those_that_stand() -> None:
    job = heard(a_sampled_job(), said(1, Wishes(priority=5)))
    assert heard(job, said(2, None, Action.PAUSE)).wishes.priority == 5


def test_the_bid_may_change_until_the_work_is_estimated_and_the_limit_never() -> None:
    asked = a_submission(limits=Limits(max_cost=7))
    early = heard(a_job(state=JobState.ESTIMATING, asked=asked), said(1, Wishes(price_per_wu_micro=500)))
    assert early.asked is not None
    assert (jobs.bid(early), early.asked.limits.max_cost) == (500, 7)
    assert jobs.bid(heard(a_sampled_job(bid=100), said(1, Wishes(price_per_wu_micro=500)))) == 100


def test_rendering_begins_at_its_time_and_inspection_and_samples_at_once() -> None:
    waits = Wishes(start_at=later(60))
    job = heard(a_sampled_job(), said(1, waits))
    assert not wishes.may_begin(job, NOW)
    assert wishes.may_begin(job, later(60))
    for state in (JobState.INSPECTING, JobState.ESTIMATING):
        assert wishes.may_begin(heard(a_job(state=state), said(1, waits)), NOW)


def test_among_equal_bids_of_one_renter_the_higher_priority_goes_first_and_others_do_not_notice() -> None:
    mine = {one.job: one for one in (a_sampled_job(job="old"), heard(a_sampled_job(job="job"), said(1, Wishes(priority=1))))}
    other = a_sampled_job(job="other", account="bob")
    turns = Turns({**mine, "other": other}, Counter(job=3), {}, NOW, POLICY)
    assert turns.rank("job") < turns.rank("old")
    alone = Turns({"old": mine["old"], "job": a_sampled_job(job="job"), "other": other}, Counter(job=3), {}, NOW, POLICY)
    assert [turns.rank(one)[1] for one in ("job", "other")] == [alone.rank(one)[1] for one in ("job", "other")]


@given(st.frozensets(st.integers(-20, 60)), st.frozensets(st.integers(-20, 60)))
def test_ranges_less_others_are_the_frames_less_the_others(all_: frozenset[int], removed: frozenset[int]) -> None:
    assert set(frames(spans.less(ranges(all_), ranges(removed)))) == all_ - removed
    far = (FrameRange(first=10**5, last=10**6),)
    assert spans.less(far, ranges(removed)) == far


# --- chunks


def out(chunk: Chunk, *numbers: int) -> tuple[Chunk, list[object]]:
    after, events = wishes.left_out(chunk, ranges(numbers), "not wanted", NOW)
    return after, list(events)


def test_an_attempt_that_would_render_a_frame_left_out_is_stopped_and_what_is_stored_stays() -> None:
    chunk = a_chunk(
        4, state=ChunkState.RENDERING, holder=a_holder(), deliveries=(Delivery("first", "ann", span(1, 2)),), stored=2
    )
    after, (stop,) = out(chunk, 1, 3)
    assert isinstance(stop, AttemptCancelled)
    assert (after.state, after.holder) == (ChunkState.QUEUED, None)
    assert set(frames(after.frames)) == {1, 2, 4}, "the first frame is stored: it was finished before"


def test_an_attempt_that_has_none_of_them_to_render_goes_on() -> None:
    chunk = a_chunk(
        4, state=ChunkState.RENDERING, holder=a_holder(), deliveries=(Delivery("first", "ann", span(1, 2)),), stored=2
    )
    assert out(chunk, 1, 2, 9) == (chunk, [])


def test_a_chunk_of_which_nothing_else_was_missing_ends() -> None:
    assert out(a_chunk(2), 1, 2)[0].state is ChunkState.CLOSED
    some = a_chunk(2, deliveries=(Delivery("first", "ann", span(1, 1)),), stored=1)
    assert out(some, 2)[0].state is ChunkState.COMPLETED


def test_samples_are_rendered_whatever_is_left_out() -> None:
    sample = a_chunk(1, kind=Kind.SAMPLE)
    assert out(sample, 1) == (sample, [])


def test_a_forgiven_chunk_has_all_its_tries_and_leaves_the_house_unless_it_is_the_houses_own() -> None:
    tried = a_chunk(2, tries=(Tries(1, 2, "first"),), failed_on=(Failure("ann", NOW),), house=True)
    fresh = wishes.forgiven(tried)
    assert (fresh.tries, fresh.failed_on, fresh.house) == ((), (), False)
    assert wishes.forgiven(a_chunk(1, kind=Kind.SAMPLE, house=True)).house


# --- the whole


async def test_a_wish_for_a_job_not_heard_of_yet_is_heard_later() -> None:
    with pytest.raises(NotYet):
        await Office().hear(said(1, Wishes(priority=1)))


async def test_a_job_that_starts_later_is_quoted_at_once_and_rendered_then() -> None:
    farm = Farm(Office(policy=SHORT), 12)
    await farm.open()
    farm.say(said(1, Wishes(start_at=NOW + timedelta(hours=1))), "intake")
    await farm.run_down({JobState.QUEUED})
    await farm.settle()
    assert farm.office.job().state is JobState.QUEUED
    assert not [one for one in farm.office.told if isinstance(one, ChunkAssigned) and one.grant.kind is Kind.RENDER]
    farm.office.clock.at = NOW + timedelta(hours=1)
    await farm.run_down()
    assert farm.office.job().state is JobState.PACKAGING


async def test_of_a_whole_fleet_only_those_are_written_who_failed_the_job() -> None:
    updates = 0

    def counted() -> bool:
        nonlocal updates
        updates += 1
        return False

    office = Office(counted)
    await office.jobs.store.add("job", a_sampled_job())
    for at in range(100):
        failed = (Interruptions("job" if at < 2 else "another", 0, later(600)),) if at < 50 else ()
        await office.agents.add(an_agent(f"a{at}", interruptions=failed, state=AgentState.OFFLINE), ())
    await office.hear(said(1, Wishes(retries=1)))
    assert updates <= 2 + 2, "two agents, and the job"
    assert not any(one.job == "job" for agent in office.all_agents() for one in agent.interruptions)
    assert sum(len(agent.interruptions) for agent in office.all_agents()) == 48


async def test_what_failed_is_tried_again_by_everybody_once_it_is_forgiven() -> None:
    farm = Farm(Office(policy=SHORT), 30)
    await farm.open()
    await farm.run_down({JobState.RENDERING})
    while not (busy := [one for one in farm.machines if one.left and one.agent != "house"]):
        await farm.deliver(0)
        for machine in farm.machines:
            farm.read_mail(machine)
    farm.fail(busy[0], Fault.MACHINE)
    await farm.deliver(next(at for at, one in enumerate(farm.wire) if isinstance(one.event, ChunkFailed)))
    assert any(chunk.tries for chunk in farm.office.all_chunks())
    await farm.office.hear(said(1, Wishes(retries=1)))
    assert not any(
        chunk.tries or chunk.failed_on for chunk in farm.office.all_chunks() if chunk.state is not ChunkState.COMPLETED
    )
    assert farm.office.job().wishes.retries == 1


def test_without_the_frames_left_out_at_any_moment_the_job_is_complete_and_none_of_them_is_given_out_again() -> None:
    @settings(max_examples=15, deadline=None)
    @given(
        unwanted=st.frozensets(st.integers(2, 29), min_size=1, max_size=12), after=st.integers(0, 40), seed=st.integers(0, 999)
    )
    def lived(unwanted: frozenset[int], after: int, seed: int) -> None:
        asyncio.run(_lived(unwanted, after, seed))

    lived()


async def _lived(unwanted: frozenset[int], after: int, seed: int) -> None:
    chance = random.Random(seed)
    farm = Farm(Office(lambda: chance.random() < 0.1, SHORT), 30)
    await farm.open()
    await farm.run_down({JobState.QUEUED, JobState.RENDERING})
    for _ in range(after):
        machine = chance.choice(farm.machines)
        chance.choice((lambda m: farm.read_mail(m), farm.work))(machine)
        await farm.deliver(chance.randrange(50))
    await farm.office.hear(said(1, Wishes(left_out=ranges(unwanted))))
    await farm.listen()
    told = len(farm.office.told)
    await farm.run_down()
    again = [one for one in farm.office.told[told:] if isinstance(one, ChunkAssigned) and one.grant.kind is Kind.RENDER]
    assert not {frame for one in again for frame in frames(one.grant.frames)} & unwanted
    assert farm.office.job().state is JobState.PACKAGING
    assert set(farm.stored) | unwanted == set(range(1, 31))
    assert len([one for one in farm.office.told if isinstance(one, JobRendered)]) == 1
