"""The line gives what looking at every job would give, and asks far less often."""

import gc
import weakref
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.line import Line
from services.scheduler.domain.matching import Board
from services.scheduler.domain.states import JobState
from tests.unit.scheduler.builders import IMAGE, NOW, POLICY, a_sampled_job, an_agent

JOBS = [f"job-{at}" for at in range(8)]
Turn = tuple[frozenset[str], bool]
TURNS = st.lists(st.tuples(st.frozensets(st.sampled_from(JOBS)), st.booleans()), max_size=40)


@given(st.dictionaries(st.sampled_from(JOBS), st.integers(0, 5), min_size=1), TURNS)
def test_the_first_in_line_is_the_one_that_looking_at_all_would_find(start: dict[str, int], turns: list[Turn]) -> None:
    """Whoever gets the slot falls back; some also drag another down, as jobs of one renter do."""
    fallen = Counter(start)

    def rank(job: str) -> tuple[int, str]:
        return fallen[job], job

    line = Line(start, rank)
    for barred, drags in turns:
        best = min((job for job in start if job not in barred), key=rank, default=None)
        assert line.first(lambda job, barred=barred: job not in barred) == best  # type: ignore[misc]
        if best is not None:
            fallen[best] += 1
            fallen[max(start)] += drags


def test_a_slot_costs_a_few_looks_however_many_jobs_there_are() -> None:
    looks, fallen = Counter[str](), Counter[str]()

    def rank(job: str) -> tuple[int, str]:
        looks["looks"] += 1
        return fallen[job], job

    line = Line((f"{at:05}" for at in range(5_000)), rank)
    looks.clear()
    for _ in range(1_000):
        found = line.first(lambda _: True)
        assert found is not None
        fallen[found] += 1
    assert looks["looks"] < 3_000


def test_a_round_that_is_over_leaves_nothing_for_the_collector() -> None:
    """Boards that held themselves made it stop the scheduler for a tenth of a second and more, now and then."""
    job, agent = a_sampled_job(state=JobState.RENDERING), an_agent()
    gc.disable()
    try:
        board = Board(now=NOW, policy=POLICY, image=IMAGE, jobs={job.job: job}, fleet=[agent], queued=[])
        assert board.offers([agent])
        gone = weakref.ref(board)
        del board
        assert gone() is None
    finally:
        gc.enable()
