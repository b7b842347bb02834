"""A broken machine is found out by different renters' jobs; rivals who conspire cannot make one look broken; time forgives."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import AgentChanged, AgentReady, ChunkFailed, Fault, FramesStored, StoredFrame
from contracts.values import Benchmark, Hardware, Kind
from services.scheduler.domain import agent as agents
from services.scheduler.domain import standing
from services.scheduler.domain.chunk import Chunk, Failure
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.standing import Standing
from services.scheduler.domain.states import AgentState, ChunkState, JobState
from tests.unit.scheduler.builders import (
    GIB,
    IMAGE,
    NOW,
    POLICY,
    WU,
    a_chunk,
    a_hand,
    a_holder,
    a_sampled_job,
    an_agent,
    later,
)
from tests.unit.scheduler.office import Office
from tests.unit.scheduler.test_sampled import put

LESS_CAREFUL = Policy(quarantine_renters=2)
"""The control: with it two are enough."""


def failing(renters: list[str], policy: Policy = POLICY, start: Standing = Standing()) -> Standing:  # noqa: B008 (frozen)
    for at, renter in enumerate(renters):
        start = standing.failed(start, f"chunk-{at}", renter, False, later(at), policy)
    return start


def test_failures_with_three_different_renters_put_a_machine_in_quarantine() -> None:
    assert not standing.is_out(failing(["a", "b"]), later(10))
    out = failing(["a", "b", "c"])
    assert standing.is_out(out, later(10))
    assert not standing.is_out(out, later(3 + POLICY.quarantine))


@given(renters=st.lists(st.sampled_from(("eve", "mallory")), max_size=60))
def test_two_renters_who_conspire_cannot_get_a_rivals_machine_quarantined_however_often_they_try(renters: list[str]) -> None:
    assert not standing.is_out(failing(renters), later(len(renters)))
    if {"eve", "mallory"} <= set(renters):
        assert failing(renters, LESS_CAREFUL).quarantines, "with the rule off they succeed"


@given(st.lists(st.sampled_from(("eve", "mallory", "trudy", "honest")), max_size=60))
def test_three_who_conspire_fail_as_long_as_the_machine_works_for_anybody_else_in_between(story: list[str]) -> None:
    state, in_row = Standing(), set[str]()
    for at, who in enumerate(story):
        if who == "honest":
            state, in_row = standing.verified(state, "ada", "owner", 3, later(at)), set()
        else:
            state, in_row = standing.failed(state, f"chunk-{at}", who, False, later(at), POLICY), in_row | {who}
        if len(in_row) < POLICY.quarantine_renters and not state.quarantines:
            assert not state.until
    if "honest" not in story and len(set(story)) == POLICY.quarantine_renters:
        assert state.quarantines, "without it they succeed"


def test_old_mishaps_are_forgiven_and_a_chunk_counts_once() -> None:
    state = standing.failed(Standing(), "x", "a", False, NOW, POLICY)
    state = standing.failed(state, "x", "b", False, NOW, POLICY)
    assert len(state.mishaps) == 1
    late = later(POLICY.mishap + 1)
    for renter in ("b", "c"):
        state = standing.failed(state, renter, renter, False, late, POLICY)
    assert not standing.is_out(state, late)


def test_quarantine_lasts_twice_as_long_each_time_and_a_day_at_most() -> None:
    state, lengths = Standing(), []
    for _ in range(9):
        state = failing(["a", "b", "c"], start=state)
        assert state.until is not None
        lengths.append((state.until - later(2)).total_seconds())
    assert lengths[:3] == [1800, 3600, 7200]
    assert lengths[-1] == 86_400


def test_trust_takes_frames_renters_and_time_and_one_refused_picture_begins_it_anew() -> None:
    state = Standing()
    for renter in ("a", "b", "c"):
        state = standing.verified(state, renter, "owner", 200, NOW)
    day = later(POLICY.trust_age)
    assert not standing.is_trusted(state, NOW, POLICY)
    assert standing.is_trusted(state, day, POLICY)
    assert not standing.is_trusted(standing.failed(state, "x", "a", True, day, POLICY), day, POLICY)
    assert standing.is_trusted(standing.failed(state, "x", "a", False, day, POLICY), day, POLICY)
    alone = standing.verified(Standing(), "owner", "owner", 10_000, NOW)
    assert not standing.is_trusted(alone, day, Policy(trust_renters=0, trust_age=0)), "one's own work shows nothing"


def test_reliability_falls_faster_than_it_rises_and_stays_a_percentage() -> None:
    state = Standing(reliability=100)
    fallen = standing.unreliable(state).reliability
    assert fallen == 80
    assert standing.verified(Standing(reliability=80), "a", "o", 1, NOW).reliability == 81
    for _ in range(50):
        state = standing.unreliable(state)
    assert 0 <= state.reliability < 20


# --- through the real handlers


def a_failed_chunk(number: int) -> Chunk:
    """Ann failed at it; bob holds it."""
    failures, holder = (Failure("ann", NOW, Fault.MACHINE),), a_holder(f"t{number}", "bob")
    ids = {"chunk": f"chunk-{number}", "job": f"job-{number}"}
    return a_chunk(1, **ids, state=ChunkState.RENDERING, holder=holder, failed_on=failures)


async def brought(office: Office, number: int, attempt: str, agent: str) -> None:
    frame = StoredFrame.model_construct(
        frame=1, file_sha256="c" * 64, pixel_sha256="c" * 64, bytes=1, cpu_micros=WU, seconds=1.0, key="k"
    )
    ids: dict[str, Any] = {"job": f"job-{number}", "chunk": f"chunk-{number}", "attempt": attempt, "agent": agent}
    await office.hear(FramesStored.model_construct(**ids, version=1, kind=Kind.RENDER, generation=0, frames=(frame,)), "storage")


async def lived(bobs_owner: str) -> Office:
    office = Office()
    for number in range(3):
        job = a_sampled_job(5, job=f"job-{number}", account=f"renter-{number}", state=JobState.RENDERING, uncut=())
        hands = tuple(a_hand(f"t{at}", f"chunk-{at}", f"job-{at}", heard=True) for at in range(3))
        await put(office, job, a_failed_chunk(number), an_agent("bob", slots=3, owner=bobs_owner, hands=hands))
    await put(office, a_sampled_job(5, job="other", uncut=()), a_chunk(1, "other", "other"), an_agent("ann"))
    for number in range(3):
        await brought(office, number, f"t{number}", "bob")
    return office


async def test_whoever_fails_what_another_owners_machine_then_renders_gets_nothing_for_a_while_and_is_told() -> None:
    office = await lived("bob")
    ann = next(one for one in office.all_agents() if one.agent == "ann")
    assert ann.state is AgentState.DRAINING
    assert "in quarantine until" in ann.reason
    assert agents.free_slots(ann) == 0
    assert [one.state for one in office.told if isinstance(one, AgentChanged) and one.agent == "ann"] == ["draining"]
    office.clock.pass_by(POLICY.quarantine + 1)
    ready = AgentReady(
        run="run-1", slots=1, hardware=Hardware(cores=1, memory_bytes=4 * GIB), images=(IMAGE,),
        benchmark=Benchmark(cpu_micros=WU, wall_micros=WU),
    )  # fmt: skip
    await office.hear(ready, "ann")
    await office.sweep()
    assert next(one for one in office.all_agents() if one.agent == "ann").state is AgentState.ONLINE


async def test_an_owner_cannot_prove_with_his_own_machine_that_it_was_not_the_scene() -> None:
    office = await lived("owner-of-ann")
    ann = next(one for one in office.all_agents() if one.agent == "ann")
    assert (ann.state, ann.standing.mishaps) == (AgentState.ONLINE, ())


@pytest.mark.parametrize(("fault", "times", "barred"), [
    (Fault.MACHINE, 1, False), (Fault.MACHINE, 2, True), (Fault.TIME, 2, True), (Fault.MEMORY, 2, False),
])  # fmt: skip
async def test_an_agent_that_keeps_failing_one_job_is_kept_away_from_it_until_time_forgives(
    fault: Fault, times: int, barred: bool
) -> None:
    office = Office()
    for number in range(times):
        hand = a_hand(f"a{number}", f"chunk-{number}", heard=True)
        ann = next(iter(office.all_agents()), an_agent("ann"))
        holder = a_holder(f"a{number}")
        chunk = a_chunk(1, f"chunk-{number}", state=ChunkState.RENDERING, holder=holder)
        await put(office, a_sampled_job(5, state=JobState.RENDERING, uncut=()), chunk, replace(ann, hands=(hand,)))
        ids = {"job": "job", "chunk": f"chunk-{number}", "attempt": f"a{number}"}
        await office.hear(ChunkFailed(**ids, fault=fault, text="broken"), "ann")
    (ann,) = office.all_agents()
    assert agents.is_barred(ann, "job", later(1)) is barred
    assert not agents.is_barred(ann, "other", later(1))
    assert not agents.is_barred(ann, "job", later(POLICY.barred + 1))
