"""How fast an agent is on one job, and how little a false measurement moves."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.values import Band, Curve, Knot
from services.scheduler.domain import pace
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.evidence import Shown
from services.scheduler.domain.states import JobState
from services.scheduler.progress import remaining
from tests.unit.scheduler.builders import WU, a_sampled_job, an_agent, span

MINUTE = 60_000_000
KNOWN = 60 * WU


def shown(agent: Agent, *speeds: int, job: str = "job") -> Agent:
    for speed in speeds:
        agent = pace.measured(agent, job, Shown(speed, MINUTE, MINUTE))
    return agent


def test_a_scene_on_which_a_machine_is_slow_is_learned_for_that_scene_alone() -> None:
    agent = shown(an_agent(), *[KNOWN // 2] * 3)
    assert (pace.of(agent, "job"), pace.of(agent, "other")) == (KNOWN // 2, KNOWN)


@given(honest=st.integers(KNOWN * 9 // 10, KNOWN * 11 // 10), lie=st.integers(1, 10**15), at=st.integers(0, 8))
def test_one_false_measurement_moves_nothing(honest: int, lie: int, at: int) -> None:
    speeds = [honest] * 9
    speeds[at] = lie
    assert pace.of(shown(an_agent(), *speeds), "job") == honest


@given(lies=st.lists(st.integers(1, 10**15), min_size=1, max_size=40))
def test_a_run_of_lies_moves_it_at_most_fourfold(lies: list[int]) -> None:
    assert KNOWN // 4 <= pace.of(shown(an_agent(), *lies), "job") <= KNOWN * 4


def test_only_the_last_jobs_and_measurements_are_kept() -> None:
    agent = an_agent()
    for number in range(30):
        agent = shown(agent, *[KNOWN] * 12, job=f"job-{number}")
    assert len(agent.paces) == 20
    assert {len(one.shown) for one in agent.paces} == {9}
    assert agent.paces[-1].job == "job-29"


def test_the_time_left_is_by_the_curve_of_the_frames_that_are_left() -> None:
    """Positive control: by the number of frames it would be half."""
    ramp = Curve(knots=(Knot(frame=1, micro_wu=0), Knot(frame=101, micro_wu=200 * WU)))
    quoted = Band(low=9_000 * WU, expected=10_000 * WU, high=12_000 * WU)
    job = a_sampled_job(curve=ramp, micro_wu=quoted, uncut=span(51, 100), state=JobState.RENDERING)
    left = remaining(job, 50, 60 * WU)
    assert left is not None
    assert left.expected == sum(ramp.wu(frame) for frame in range(51, 101)) // WU
    assert left.expected > 7_000
    assert (left.low, left.high) == (left.expected * 9 // 10, left.expected * 12 // 10)
