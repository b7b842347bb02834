"""A bundle of gigabytes: every kind of attempt has the time to fetch it; what the house agent cannot begin ends with a word."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from contracts.events import AttemptVoid, ChunkAssigned, ChunkReleased, JobFailed, Release
from contracts.values import Kind, Ranges
from services.scheduler import vain
from services.scheduler.domain import tries
from services.scheduler.domain.agent import Agent, Decided, pulsed
from services.scheduler.domain.assignment import assigned
from services.scheduler.domain.chunk import FORMER, IN_VAIN, Chunk, Failure, brought
from services.scheduler.domain.states import ChunkState, JobState
from tests.unit.scheduler.builders import (
    GIB,
    IMAGE,
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
from tests.unit.scheduler.office import Office

SLOW = 8 * GIB // POLICY.slow_line
"""Seconds in which a slow line brings it."""


@pytest.mark.parametrize(
    ("kind", "asked", "seconds"),
    [
        (Kind.INSPECT, (), POLICY.inspect_budget),
        (Kind.PROBE, span(1, 1), POLICY.sample_budget),
        (Kind.SAMPLE, span(1, 1), POLICY.sample_budget),
        (Kind.RENDER, span(1, 1), POLICY.frame_floor),
        (Kind.RENDER, span(1, 4), 4 * POLICY.frame_floor),
    ],
)
def test_an_attempt_of_any_kind_has_the_time_to_fetch_its_bundle(kind: Kind, asked: Ranges, seconds: int) -> None:
    job = a_sampled_job(asked=a_submission(bundle_bytes=8 * GIB))
    chunk, there = a_chunk(kind=kind, frames=asked), an_agent(bundles=("b" * 64,))
    first = min(seconds, POLICY.sample_budget)
    for agent, fetching in ((an_agent(), SLOW), (there, 0)):
        holder, told = assigned(job, chunk, agent, "attempt", IMAGE, NOW, POLICY)
        assert holder.hard_end == later(fetching + first + POLICY.slack)
        assert holder.last_end == later(fetching + seconds + POLICY.slack)
        assert told.grant.until == holder.last_end + POLICY.after("grace")


# --- what the house agent cannot begin


async def an_inspection(bundle_bytes: int) -> Office:
    """Of a job that only the house agent may look at, and which it has in hand."""
    office = Office()
    asked = a_submission(bundle_bytes=bundle_bytes)
    await office.jobs.store.add("job", a_job(state=JobState.INSPECTING, asked=asked))
    await office.agents.store.add("house", an_agent("house", house=True))
    await office.chunks.store.add("look", a_chunk(chunk="look", kind=Kind.INSPECT, frames=(), house=True))
    await office.sweep()
    return office


def given(office: Office) -> list[ChunkAssigned]:
    return [one for one in office.told if isinstance(one, ChunkAssigned)]


async def go_on(office: Office, seconds: int, step: int = 5) -> None:
    """The house agent pulses with what it has in hand, drops what is void, and nothing else comes of it."""
    for _ in range(0, seconds, step):
        office.clock.pass_by(step)
        void = {one.attempt for one in office.told if isinstance(one, AttemptVoid)}
        await office.agents.update("house", _pulsing(void))
        await office.sweep()


def _pulsing(void: set[str]) -> Callable[[Agent, datetime], Decided]:
    def pulse(agent: Agent, now: datetime) -> Decided:
        agent = replace(agent, hands=tuple(hand for hand in agent.hands if hand.attempt not in void))
        return pulsed(agent, agent.run, [hand.attempt for hand in agent.hands], now, POLICY)

    return pulse


def words_at_the_end(office: Office) -> list[str]:
    return [one.reason for one in office.told if isinstance(one, JobFailed)]


async def give_back(office: Office, reason: Release = Release.NETWORK) -> None:
    """The house agent could not get the bundle, or has ended over it, and is ready for the next."""
    last = given(office)[-1].grant
    await office.hear(ChunkReleased(job="job", chunk="look", attempt=last.attempt, reason=reason, text="not in time"), "house")
    await office.agents.update("house", lambda agent, _: (replace(agent, closed_since=None, slots=1), []))


@pytest.mark.parametrize("reason", [Release.NETWORK, Release.STOPPED])
async def test_a_bundle_that_the_house_agent_gives_back_for_half_an_hour_ends_its_job_with_a_word(reason: Release) -> None:
    office = await an_inspection(8 * GIB)
    for _ in range(3):
        assert words_at_the_end(office) == []
        await go_on(office, 15 * 60)
        await give_back(office, reason)
        await office.sweep()
    (why,) = words_at_the_end(office)
    assert "could not be looked at" in why
    assert "could not be fetched or begun" in why
    assert office.job().state is JobState.FAILED
    assert {one.state for one in office.all_chunks()} == {ChunkState.CLOSED}


async def test_an_inspection_that_never_begins_ends_its_job_with_a_word() -> None:
    office = await an_inspection(1000)
    await go_on(office, POLICY.house_gives_up, 10)
    assert words_at_the_end(office) == []
    await go_on(office, 600, 10)
    (why,) = words_at_the_end(office)
    assert "could not be fetched or begun" in why


async def test_what_is_given_back_while_our_store_is_away_for_minutes_ends_no_job() -> None:
    office = await an_inspection(8 * GIB)
    for _ in range(6):
        await go_on(office, 4 * 60)
        await give_back(office)
        await office.sweep()
    assert words_at_the_end(office) == []
    assert office.job().state is JobState.INSPECTING


# --- what it has begun after all

LONG_IN_VAIN = tuple(Failure("house", later(60 * at), IN_VAIN) for at in range(3))
AT_THE_END = POLICY.house_gives_up + 600


def in_hand(**changes: Any) -> Chunk:
    """Of the house agent, which has tried it in vain three times already; half an hour ago and more."""
    holder = a_holder("fourth", "house", hard_end=later(AT_THE_END - 1), patience=120, last_end=later(7200), **changes)
    return a_chunk(state=ChunkState.RENDERING, house=True, holder=holder, failed_on=LONG_IN_VAIN)


async def ended(read: Chunk, known: Chunk, has_time: bool = False) -> JobState:
    """What becomes of the job when the attempt is about to end by what was `read`, while the chunk is `known` to be otherwise."""
    office = Office()
    await office.jobs.store.add("job", a_sampled_job(state=JobState.RENDERING))
    await office.agents.store.add("house", an_agent("house", house=True))
    await office.chunks.store.add("chunk", known)
    office.clock.pass_by(AT_THE_END)
    assert await vain.ending(office.desk, read, has_time=has_time)
    return office.job().state


async def test_a_job_whose_frames_come_is_not_failed_for_what_was_in_vain_before() -> None:
    assert await ended(in_hand(), in_hand()) is JobState.FAILED, "control"
    assert await ended(in_hand(brought_at=later(60)), in_hand(brought_at=later(60))) is JobState.RENDERING


@pytest.mark.parametrize("has_time", [False, True])
async def test_a_frame_that_is_stored_after_the_chunk_was_read_keeps_its_job(has_time: bool) -> None:
    read = in_hand()
    known, _ = brought(read, "fourth", "house", [1], later(AT_THE_END - 5))
    assert await ended(read, known, has_time) is JobState.RENDERING
    longer = replace(read, holder=a_holder("fourth", "house", hard_end=later(AT_THE_END + 60), last_end=later(7200)))
    assert await ended(read, longer, has_time) is (JobState.FAILED if has_time else JobState.RENDERING)


def test_a_stored_frame_ends_the_row_of_attempts_in_vain() -> None:
    other = Failure("ann", NOW, "machine")
    after, _ = brought(replace(in_hand(), failed_on=(*LONG_IN_VAIN, other)), "fourth", "house", [1], NOW)
    assert after.failed_on == (other,)


@pytest.mark.parametrize("every", [1, 20, 110, 121, 600])
def test_what_is_in_vain_ends_however_fast_the_attempts_follow_each_other(every: int) -> None:
    chunk, at = in_hand(), 0
    chunk = replace(chunk, failed_on=())
    while not tries.is_hopeless(chunk, later(at), POLICY):
        assert at <= POLICY.house_gives_up + 2 * every
        chunk, at = tries.in_vain(chunk, "fourth", later(at)), at + every
    assert at >= POLICY.house_gives_up, "not while the store may be away"
    assert len(chunk.failed_on) <= FORMER
