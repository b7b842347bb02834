"""A slow chunk that endangers a deadline is copied before other renters' new work is given out."""

from dataclasses import replace

import pytest

from contracts.events import AgentReady, ChunkAssigned
from contracts.values import Benchmark, Hardware, Limits
from services.scheduler.domain import copies
from services.scheduler.domain.chunk import Chunk, claimed
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board
from services.scheduler.domain.states import JobState
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
    a_submission,
    an_agent,
    later,
)
from tests.unit.scheduler.office import Office
from tests.unit.scheduler.test_sampled import put

SLOW = an_agent("slow", micro_wu_per_minute=4 * WU, hands=(a_hand(heard=True),))
"""Eight frames take it two minutes."""
READY = AgentReady(
    run="run-1", slots=1, hardware=Hardware(cores=1, memory_bytes=4 * GIB), images=(IMAGE,),
    benchmark=Benchmark(cpu_micros=WU, wall_micros=WU),
)  # fmt: skip


def due(seconds: float | None) -> Job:
    limits = Limits() if seconds is None else Limits(deadline=later(seconds))
    return a_sampled_job(8, state=JobState.RENDERING, uncut=(), asked=a_submission(limits=limits))


def a_slow_chunk() -> Chunk:
    return claimed(a_chunk(8, version=1), a_holder(agent="slow"))


@pytest.mark.parametrize(("seconds", "pressed"), [(150, True), (1000, False), (None, False)])
def test_only_a_deadline_that_is_near_presses(seconds: float | None, pressed: bool) -> None:
    board = Board(NOW, POLICY, IMAGE, {"job": due(seconds)}, [SLOW, an_agent("idle")], [])
    assert bool(copies.chosen(board, [a_slow_chunk()], only_pressed=True)) is pressed
    assert copies.chosen(board, [a_slow_chunk()]), "for an agent that has nothing else to do, any is worth a copy"


def test_a_deadline_that_is_missed_already_presses_no_more() -> None:
    job = replace(due(150), missed=later(150))
    board = Board(NOW, POLICY, IMAGE, {"job": job}, [SLOW, an_agent("idle")], [])
    assert copies.chosen(board, [a_slow_chunk()], only_pressed=True) == []


@pytest.mark.parametrize(("seconds", "given"), [(150, "job"), (None, "other")])
async def test_the_next_agent_that_is_ready_copies_for_the_deadline_and_takes_new_work_where_there_is_none(
    seconds: float | None, given: str
) -> None:
    office = Office()
    await put(office, due(seconds), a_slow_chunk(), replace(SLOW, seen_at=NOW))
    other = a_sampled_job(500, job="other", account="bert", asked=a_submission(job="other", account="bert"))
    await put(office, other, a_chunk(job="gone", chunk="gone"), an_agent("idle", slots=0))
    await office.hear(READY, "idle")
    await office.desk.dispatch.look()
    told = [one.grant.job for one in office.told if isinstance(one, ChunkAssigned) and one.grant.agent == "idle"]
    assert told == [given]
