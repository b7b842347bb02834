"""What an agent says of its speed moves it no further than what was seen of it, and a fast machine earns its speed."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import AgentReady, FramesStored, StoredFrame
from contracts.values import MICRO, Benchmark, Curve, Hardware, Kind, Knot, Limits
from services.scheduler.domain import agent as agents
from services.scheduler.domain import deadlines, evidence, pace
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.evidence import Evidence, Shown
from services.scheduler.domain.matching import Board
from services.scheduler.domain.states import AgentState
from services.scheduler.learning import FORGOTTEN, Attempts
from tests.unit.scheduler.builders import GIB, IMAGE, NOW, POLICY, WU, a_sampled_job, a_submission, an_agent, later
from tests.unit.scheduler.office import Office

TRUTH = 60 * WU
"""One WU a second."""
PROVED = Evidence(60 * WU, 60 * MICRO)


def some_frames(first: int, number: int, attempt: str, seconds: float) -> FramesStored:
    kept = tuple(
        StoredFrame(
            frame=frame,
            file_sha256="c" * 64,
            pixel_sha256="d" * 64,
            bytes=1,
            cpu_micros=1,
            seconds=seconds,
            key=f"frames/{frame}",
        )
        for frame in range(first, first + number)
    )
    ids = {"job": "job", "chunk": "chunk", "attempt": attempt, "agent": "ann", "version": 1}
    return FramesStored(**ids, kind=Kind.RENDER, generation=0, frames=kept)


async def learned(*attempts: tuple[int, float, float], claims: int = TRUTH, work: int = WU) -> Agent:
    """By way of the scheduler's own notes: (frames, the seconds that each is said to have taken, the seconds that passed)."""
    office = Office()
    await office.agents.add(an_agent(micro_wu_per_minute=claims), ())
    job = a_sampled_job(10**6, curve=Curve(knots=(Knot(frame=1, micro_wu=work),)))
    await office.jobs.update_or_add("job", lambda *_: (job, []))
    for at, (number, said, passed) in enumerate(attempts):
        given_at = office.clock.at
        office.clock.pass_by(passed)
        event = some_frames(1, number, f"attempt-{at}", said)
        office.desk.learning.note(event, given_at, office.clock.at)
        await office.desk.learning.fold()
    found = await office.agents.get("ann")
    assert found is not None
    return found


def test_a_lasting_lie_about_its_times_moves_it_at_most_fourfold() -> None:
    """Twenty chunks of a minute at one WU a second, each frame of which is said to have taken a millisecond."""
    liar = asyncio.run(learned(*[(60, 0.001, 60)] * 20))
    assert TRUTH <= liar.micro_wu_per_minute <= TRUTH * 2
    assert pace.of(liar, "job") <= TRUTH * 2


def test_chunks_of_a_second_do_not_help_it_beyond_fourfold() -> None:
    liar = asyncio.run(learned(*[(1, 0.001, 1)] * 200))
    assert liar.micro_wu_per_minute <= TRUTH * 4
    assert pace.of(liar, "job") <= TRUTH * 4


def test_to_hold_one_chunk_back_and_bring_the_next_at_once_is_in_vain() -> None:
    """It renders three chunks in the time of one."""
    liar = asyncio.run(learned(*[(60, 0.001, 180), (60, 0.001, 0), (60, 0.001, 0)] * 20))
    assert liar.micro_wu_per_minute <= TRUTH * 3


def test_frames_without_a_time_count_by_the_time_that_was_seen() -> None:
    assert asyncio.run(learned(*[(60, 0, 120)] * 20)).micro_wu_per_minute == pytest.approx(TRUTH * 60 / 100, rel=0.05)


def test_a_claim_from_its_benchmark_sinks_to_what_it_shows() -> None:
    liar = asyncio.run(learned(*[(60, 0.001, 60)] * 20, claims=8 * TRUTH))
    assert liar.micro_wu_per_minute <= TRUTH * 2


def test_a_machine_thirty_times_as_fast_as_was_thought_earns_its_speed() -> None:
    fast = asyncio.run(learned(*[(60, 1, 65)] * 20, work=30 * WU))
    assert fast.micro_wu_per_minute == pytest.approx(30 * TRUTH, rel=0.1)


def test_what_an_honest_machine_waits_for_does_not_make_it_slow() -> None:
    """Ten seconds of start-up for each minute."""
    assert asyncio.run(learned(*[(60, 1, 70)] * 20)).micro_wu_per_minute == TRUTH


def test_if_nobody_had_looked_at_the_clock_the_lie_would_grow_without_end() -> None:
    """The control."""
    liar = an_agent(micro_wu_per_minute=TRUTH, evidence=PROVED)
    for _ in range(100):
        liar, _ = agents.learned(liar, Shown(60 * WU, 1000, 0))
    assert liar.micro_wu_per_minute > 100 * TRUTH


@settings(max_examples=60, deadline=None)
@given(chunks=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 10**8)), min_size=30, max_size=60), slots=st.integers(1, 8))
def test_whatever_it_says_it_is_known_as_at_most_twice_as_fast_as_counts(chunks: list[tuple[int, int]], slots: int) -> None:
    """Each chunk takes as long as it takes one WU a second, whatever wall time is claimed."""
    agent = an_agent(slots=slots, micro_wu_per_minute=TRUTH)
    for seconds, wall in chunks:
        agent, _ = agents.learned(agent, Shown(seconds * WU, wall, seconds * MICRO))
        assert agent.micro_wu_per_minute <= 2 * TRUTH


def test_of_an_attempt_the_time_is_counted_on_from_its_last_frames_and_forgotten_with_its_chunk() -> None:
    attempts = Attempts()
    passed = [attempts.passed("first", NOW, later(seconds)) // MICRO for seconds in (60, 70, 70, 100)]
    assert passed == [40, 10, 0, 30]
    attempts.end(["first", "another"])
    assert attempts.passed("first", NOW, later(110)) // MICRO == 90, "as if it were never heard of"
    attempts.forget(later(110) + FORGOTTEN)
    assert attempts.passed("first", NOW, later(120)) // MICRO == 100


# --- newcomers


def said(wall_micros: int) -> AgentReady:
    return AgentReady(
        run="run-1", slots=1, attempts=(), hardware=Hardware(cores=1, memory_bytes=4 * GIB),
        benchmark=Benchmark(cpu_micros=wall_micros, wall_micros=wall_micros), images=(IMAGE,),
    )  # fmt: skip


def test_a_benchmark_is_believed_up_to_eight_times_the_farms_median() -> None:
    new = an_agent(state=AgentState.ENROLLED, micro_wu_per_minute=0, benchmark=None)
    liar, _ = agents.ready(new, said(1000), "m", NOW, POLICY, [TRUTH] * 3)
    alone, _ = agents.ready(new, said(1000), "m", NOW, POLICY)
    honest, _ = agents.ready(new, said(WU // 4), "m", NOW, POLICY, [TRUTH] * 3)
    assert (liar.micro_wu_per_minute, alone.micro_wu_per_minute) == (8 * TRUTH, 8 * TRUTH)
    assert 3 * TRUTH < honest.micro_wu_per_minute < 4 * TRUTH


async def test_the_benchmark_of_an_agents_first_word_is_held_against_the_farm() -> None:
    office = Office()
    for name in ("bob", "cid", "dan"):
        await office.agents.add(an_agent(name, micro_wu_per_minute=TRUTH), ())
    await office.agents.add(agents.enrolled("eve", "owner-of-eve", "Eve", house=False)[0], ())
    await office.hear(said(1000), "eve")
    eve = await office.agents.get("eve")
    assert eve is not None
    assert eve.micro_wu_per_minute == 8 * TRUTH


def promise(*fleet: Agent) -> float:
    """Seconds until a job of 1,000 WU is promised."""
    asked = a_submission(job="due", limits=Limits(deadline=later(300)))
    job = a_sampled_job(1000, job="due", asked=asked)
    board = Board(NOW, POLICY, IMAGE, {"due": job}, fleet, [])
    found = deadlines.outlook(job, board.speed(job), {}, NOW, POLICY)
    assert found is not None
    return (found.earliest - NOW) / timedelta(seconds=1)


def test_a_machine_that_has_shown_nothing_counts_in_promises_as_four_usual_ones() -> None:
    """With a claim of 950 times the reference the promise was six seconds."""
    honest = [an_agent(f"a{at}", micro_wu_per_minute=TRUTH) for at in range(10)]
    liar = an_agent("liar", micro_wu_per_minute=950 * TRUTH)
    assert promise(*honest) == pytest.approx(105, abs=2)
    assert promise(*honest, liar) == pytest.approx(5 + 1000 / 14, abs=2)
    assert promise(*honest, replace(liar, slots=64)) == pytest.approx(5 + 1000 / 14, abs=2)
    proved = replace(liar, micro_wu_per_minute=20 * TRUTH, evidence=Evidence(1200 * WU, 60 * MICRO))
    assert promise(*honest, proved) == pytest.approx(5 + 1000 / 30, abs=2)


def test_a_first_stretch_is_counted_without_its_start_but_never_below_a_quarter() -> None:
    seconds = [evidence.counted(timedelta(seconds=passed), is_first=True) // MICRO for passed in (4, 24, 60, -1)]
    assert seconds == [1, 6, 40, 0]
    assert evidence.counted(timedelta(seconds=4), is_first=False) == 4 * MICRO
