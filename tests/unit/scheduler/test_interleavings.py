"""Whatever is delayed, repeated, reordered or lost: every frame ends stored once, or the job ends failed with a reason."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events import Action, FarmOrder, Fault, JobCancelled, JobFailed, JobRendered, SamplingMeasured
from contracts.values import frames
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.states import OPEN_CHUNK, JobState
from tests.unit.scheduler.farm import SHORT, Farm
from tests.unit.scheduler.office import Office

Step = tuple[str, int, int]
CALM = ("deliver", "deliver", "deliver", "repeat", "read", "read", "read", "work", "work", "work", "time")
ROUGH = (*CALM, "lose mail", "release", "release", "crash", "forget", "boast", "restart", "silence", "leave")
DEADLY = (*ROUGH, "die", "die", "die")
BROKEN = (*ROUGH, "die", "machine fault", "scene fault", "memory fault", "time fault", "reject", "reject")
STEERED = (*ROUGH, "die", "die", "pause", "resume", "farm pauses", "farm stops", "farm resumes")


def steps(kinds: tuple[str, ...]) -> st.SearchStrategy[list[Step]]:
    one = st.tuples(st.sampled_from(kinds), st.integers(0, 40), st.integers(0, 2))
    return st.lists(one, min_size=20, max_size=200)


async def act(farm: Farm, step: Step) -> None:
    kind, number, who = step
    machine = farm.pick(kind, who)
    actions: dict[str, Callable[[], Awaitable[None] | None]] = {
        "deliver": lambda: farm.deliver(number),
        "repeat": lambda: farm.deliver(number, repeat=True),
        "read": lambda: farm.read_mail(machine),
        "lose mail": lambda: farm.read_mail(machine, lose=True),
        "work": lambda: farm.work(machine),
        "time": lambda: farm.pass_time(1 + number / 2),
        "silence": lambda: farm.pass_time(35 + number, silent=machine),
        "release": lambda: farm.release(machine),
        "crash": lambda: farm.crash(machine),
        "boast": lambda: farm.boast(machine),
        "leave": lambda: farm.leave(),
        "forget": lambda: farm.forget(machine),
        "pause": lambda: farm.control(Action.PAUSE),
        "resume": lambda: farm.control(Action.RESUME),
        "farm pauses": lambda: farm.control_farm(FarmOrder.PAUSE),
        "farm stops": lambda: farm.control_farm(FarmOrder.STOP),
        "farm resumes": lambda: farm.control_farm(FarmOrder.RESUME),
        "restart": lambda: farm.office.begin(farm.office.desk.policy),
        "machine fault": lambda: farm.fail(machine, Fault.MACHINE),
        "scene fault": lambda: farm.fail(machine, Fault.SCENE),
        "memory fault": lambda: farm.fail(machine, Fault.MEMORY),
        "time fault": lambda: farm.fail(machine, Fault.TIME),
        "reject": lambda: farm.reject(machine),
        "die": lambda: farm.die(number + 1),
    }
    done = actions[kind]()
    if done is not None:
        await done
    farm.check()


async def lived(
    script: list[Step],
    seed: int,
    last: int,
    ahead: JobState,
    policy: Policy,
    finally_: Action | None = None,
    forgets: bool = False,
) -> Farm:
    """A farm that comes to the state `ahead` in peace, lives through this script, and then runs down to its end; `seed` decides
    which conditional writes another process wins."""
    chance = random.Random(seed)
    farm = Farm(Office(lambda: chance.random() < 0.1, policy), last)
    farm.office.forgets = forgets
    await farm.open()
    await farm.run_down({ahead, JobState.RENDERING, JobState.PACKAGING})
    for step in script:
        await act(farm, step)
    if finally_ is not None:
        farm.control(finally_)
        farm.control_farm(FarmOrder.RESUME)
    await farm.run_down()
    return farm


def check_rendered(farm: Farm) -> None:
    assert farm.office.job().state is JobState.PACKAGING
    assert sorted(farm.stored) == list(range(1, farm.last + 1))
    assert len({one for one in farm.office.told if isinstance(one, JobRendered)}) == 1


def check_paid(farm: Farm) -> None:
    """Every frame of a sampling attempt that counted is in what billing was told."""
    measured = [one for one in farm.office.told if isinstance(one, SamplingMeasured)]
    paid = {(work.attempt, frame) for one in measured for work in one.work for frame in frames(work.frames)}
    for chunk in farm.office.all_chunks():
        for one in chunk.deliveries if chunk.kind == "sample" else ():
            assert {(one.attempt, frame) for frame in frames(one.frames)} <= paid


SEEDS, LENGTHS = st.integers(0, 1000), st.integers(1, 40)
EAGER = replace(SHORT, copy_start=0, copy_gain=0, copy_patience=0, copy_percent=100)
"""Copies whatever may be copied."""
POLICIES = st.sampled_from((SHORT, EAGER))
AHEAD = st.sampled_from((JobState.SUBMITTED, JobState.ESTIMATING, JobState.QUEUED))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps(CALM), seed=SEEDS, last=LENGTHS, ahead=AHEAD, policy=POLICIES)
def test_a_job_on_a_reordering_network_is_rendered(
    script: list[Step], seed: int, last: int, ahead: JobState, policy: Policy
) -> None:
    farm = asyncio.run(lived(script, seed, last, ahead, policy))
    check_rendered(farm)
    check_paid(farm)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps(ROUGH), seed=SEEDS, last=LENGTHS, ahead=AHEAD, policy=POLICIES)
def test_a_job_whose_agents_crash_leave_and_forget_is_rendered(
    script: list[Step], seed: int, last: int, ahead: JobState, policy: Policy
) -> None:
    farm = asyncio.run(lived(script, seed, last, ahead, policy))
    check_rendered(farm)
    check_paid(farm)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps(DEADLY), seed=SEEDS, last=LENGTHS, ahead=AHEAD, policy=POLICIES)
def test_a_job_whose_scheduler_dies_between_any_two_writes_is_rendered(
    script: list[Step], seed: int, last: int, ahead: JobState, policy: Policy
) -> None:
    farm = asyncio.run(lived(script, seed, last, ahead, policy))
    check_rendered(farm)
    check_paid(farm)


@pytest.mark.parametrize("ahead", [JobState.SUBMITTED, JobState.ESTIMATING, JobState.RENDERING])
def test_a_death_at_every_single_write_and_word_of_a_peaceful_job_loses_nothing(ahead: JobState) -> None:
    dies_everywhere(ahead)


def dies_everywhere(ahead: JobState, forgets: bool = False) -> None:
    for steps_left in range(40):
        check_rendered(asyncio.run(lived([("die", steps_left, 0)], 0, 7, ahead, SHORT, forgets=forgets)))


def test_without_the_words_that_a_death_left_unsaid_a_job_would_stand_still() -> None:
    """The control: the next process does not tell what the last one had saved."""
    with pytest.raises(AssertionError, match="did not end"):
        dies_everywhere(JobState.ESTIMATING, forgets=True)


def test_without_the_fence_of_conditional_writes_a_lease_would_be_held_twice() -> None:
    """The control of what `Farm.check` asks after every step: a chunk is announced although another process has won it."""
    with pytest.raises(AssertionError, match="no lease is held twice"):
        asyncio.run(careless())


async def careless() -> None:
    chance = random.Random(0)
    farm = Farm(Office(lambda: chance.random() < 0.5, SHORT), 12)
    farm.office.chunks.store.tells_losers = True
    await farm.open()
    await farm.run_down()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps(STEERED), seed=SEEDS, last=LENGTHS, ahead=AHEAD, policy=POLICIES)
def test_a_job_paused_and_resumed_at_any_moment_is_rendered(
    script: list[Step], seed: int, last: int, ahead: JobState, policy: Policy
) -> None:
    farm = asyncio.run(lived(script, seed, last, ahead, policy, Action.RESUME))
    check_rendered(farm)
    check_paid(farm)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps(STEERED), seed=SEEDS, last=LENGTHS, ahead=AHEAD, policy=POLICIES)
def test_a_job_cancelled_at_any_moment_holds_nobody(
    script: list[Step], seed: int, last: int, ahead: JobState, policy: Policy
) -> None:
    farm = asyncio.run(lived(script, seed, last, ahead, policy, Action.CANCEL))
    asyncio.run(farm.settle())
    assert not any(agent.hands for agent in farm.office.all_agents())
    assert not any(chunk.state in OPEN_CHUNK for chunk in farm.office.all_chunks())
    ends = {one for one in farm.office.told if isinstance(one, JobCancelled | JobRendered)}
    assert len(ends) == 1, "who died in the middle tells the same once more"
    check_paid(farm)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=steps(BROKEN), seed=SEEDS, last=LENGTHS, ahead=AHEAD, policy=POLICIES)
def test_a_job_with_failing_attempts_is_rendered_or_fails_with_a_reason(
    script: list[Step], seed: int, last: int, ahead: JobState, policy: Policy
) -> None:
    farm = asyncio.run(lived(script, seed, last, ahead, policy))
    if farm.office.job().state is JobState.FAILED:
        (failed,) = {one for one in farm.office.told if isinstance(one, JobFailed)}
        assert failed.reason
        assert failed.hint
        assert "house" in farm.failed_on, "the house agent agreed"
        assert not [one for one in farm.office.told if isinstance(one, JobCancelled | JobRendered)]
    else:
        check_rendered(farm)
    check_paid(farm)
