"""Right of way near a deadline's end, and on farms of few slots or with none but the house's."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

import pytest

from services.scheduler.domain.agent import Agent
from services.scheduler.domain.chunk import Chunk
from services.scheduler.domain.job import Job
from services.scheduler.domain.matching import Board
from services.scheduler.domain.ranking import Back, Farm, Turns, lacking
from tests.unit.scheduler.builders import IMAGE, NOW, POLICY, WU, a_chunk, a_sampled_job, an_agent, later, span
from tests.unit.scheduler.test_ranking import FARM, due, turns

RICH = a_sampled_job(10_000, job="rich", account="rich", bid=1000)
ONE = Farm(slots=1, speed=60 * WU)


def first(jobs: list[Job], farm: Farm, running: dict[str, int], *queued: Chunk) -> str:
    now = turns(jobs, running)
    now.hurry(farm, queued)
    return min((job.job for job in jobs), key=now.rank)


# --- what came back


def test_near_the_deadline_a_chunk_that_came_back_goes_before_any_bid() -> None:
    job, back = due(240, uncut=()), a_chunk(job="due")
    assert first([RICH, job], FARM, {"due": 3}, back) == "due"
    assert first([RICH, job], FARM, {"due": 3}) == "rich", "control: nothing came back"
    assert first([RICH, due(7200, uncut=())], FARM, {"due": 3}, back) == "rich", "there is time"
    assert first([RICH, due(-1, uncut=())], FARM, {"due": 3}, back) == "rich", "it is late already"
    assert first([RICH, due(240, uncut=(), promised=None)], FARM, {"due": 3}, back) == "rich", "it was not promised"


def test_each_of_them_lacks_a_slot_and_no_more() -> None:
    now = turns([RICH, due(240, uncut=())], {"due": 3})
    now.hurry(FARM, [a_chunk(job="due"), a_chunk(job="due", chunk="other")])
    order = []
    for _ in range(3):
        chosen = min(("rich", "due"), key=now.rank)
        now.note(chosen)
        order.append(chosen)
    assert order == ["due", "due", "rich"]


def test_what_came_back_is_work_that_is_left_long_before_the_end() -> None:
    job = due(POLICY.deadline_reserve + 500, last=1000, uncut=())
    lost = [a_chunk(100, chunk=f"c{at}", job="due", stored=20) for at in range(10)]  # 800 WU, and a quarter more, in 500 s
    now = turns([RICH, job])
    now.hurry(FARM, lost)
    for _ in range(2):
        assert min(("rich", "due"), key=now.rank) == "due"
        now.note("due")
    assert min(("rich", "due"), key=now.rank) == "rich"


def test_an_idle_agent_gets_the_chunk_that_came_back() -> None:
    job, back = due(240, uncut=()), a_chunk(job="due", version=1)
    fleet = [an_agent(f"a{at}") for at in range(10)]
    for queued, jobs in (([back], {"due"}), ([], {"rich"})):
        board = Board(NOW, POLICY, IMAGE, {"due": job, "rich": RICH}, fleet, list(queued), Counter({"rich": 9}))
        assert {offer.job for offer in board.offers(fleet[:1])} == jobs


def handed(job: Job, rounds: int, *queued: Chunk) -> Counter[str]:
    """Twenty machines of lenders ready one after the other; what came back goes to the first who may have it."""
    fleet, left = [an_agent(f"a{at}") for at in range(rounds)], list(queued)
    running, got = Counter[str](), Counter[str]()
    for agent in fleet:
        (offer,) = Board(NOW, POLICY, IMAGE, {"due": job, "rich": RICH}, fleet, list(left), Counter(running)).offers([agent])
        left = [one for one in left if offer.chunk is None or one.chunk != offer.chunk.chunk]
        running[offer.job] += 1
        got[offer.job] += 1
    return got


def test_a_job_out_of_reach_has_no_right_of_way_for_what_came_back() -> None:
    """Nor for what only the house may have. Control: one with nothing else to give out has."""
    hopeless, back = due(240, uncut=span(1, 100_000)), a_chunk(job="due")
    plain = handed(hopeless, 20)
    assert plain["due"] <= 2
    assert handed(hopeless, 20, replace(back, house=True)) == plain
    assert handed(hopeless, 20, replace(back, memory_factor=64))["due"] <= 2, "nobody has so much memory"
    assert handed(due(240, uncut=()), 1, back) == {"due": 1}


def test_for_what_nobody_can_take_a_job_near_its_end_gets_no_more_than_it_needs_and_that_many() -> None:
    job, stuck = due(POLICY.deadline_reserve + 100, last=100_000, uncut=span(1, 160)), a_chunk(job="due", memory_factor=64)
    needed = lacking(job, 0, FARM, NOW, POLICY, back=Back(1, 4))
    assert needed == 3
    assert [lacking(job, running, FARM, NOW, POLICY, back=Back(1, 4)) for running in (1, 2, 3, 4)] == [2, 1, 1, 0]
    assert handed(job, 20, stuck)["due"] < 10


# --- few slots


def rendered(slots: int, hurries: bool) -> tuple[bool, Counter[str]]:
    """Whether a job was done in time, beside a renter who bids ten times as much, and how many chunks of a minute each got."""
    frames, until = 1500 * slots, 3000
    jobs = {"due": due(until, last=frames), "rich": RICH}
    served: dict[str, datetime] = {}
    held: list[str] = []
    got: Counter[str] = Counter()
    for at in range(until * slots // 60):
        now, done = later(at * 60 / slots), 60 * got["due"]
        if done >= frames:
            return True, got
        jobs["due"] = replace(jobs["due"], uncut=span(done + 1, frames))
        held = held[1:] if len(held) == slots else held
        round_ = Turns(jobs, Counter(held), served, now, POLICY)
        if hurries:
            round_.hurry(Farm(slots, slots * 60 * WU))
        chosen = min(jobs, key=round_.rank)
        held.append(chosen)
        served[jobs[chosen].account] = now
        got[chosen] += 1
    return False, got


@pytest.mark.parametrize("slots", [1, 2, 5, 9, 10, 40])
def test_a_promised_deadline_is_kept_on_a_farm_of_any_size_and_a_tenth_is_left_to_the_others(slots: int) -> None:
    is_kept, got = rendered(slots, hurries=True)
    assert is_kept
    assert got["rich"] >= 0.1 * got.total() - 1, f"others had too little: {got}"
    assert not rendered(slots, hurries=False)[0], "control"


def test_on_one_slot_a_promise_is_worth_no_less_than_none() -> None:
    """Among the jobs of its own renter."""
    job, other = due(400), a_sampled_job(job="any", account="hurried")
    assert first([job, other], ONE, {}) == "due"
    assert first([replace(job, promised=None), other], ONE, {}) == "due"
    assert first([replace(job, asked=other.asked, promised=None), other], ONE, {}) == "any", "control: no deadline"


def test_what_is_short_goes_first_among_its_renters_jobs_also_when_others_in_a_hurry_have_their_nine_tenths() -> None:
    job, own = due(POLICY.deadline_reserve + 13), a_sampled_job(job="any", account="hurried")
    assert lacking(job, 9, FARM, NOW, POLICY) == 1
    assert first([job, own], FARM, {"due": 9}) == "due"
    assert first([replace(job, asked=own.asked, promised=None), own], FARM, {"due": 9}) == "any", "control: no deadline"


def offered(fleet: list[Agent], *jobs: Job) -> list[str]:
    board = Board(NOW, POLICY, IMAGE, {job.job: job for job in jobs}, fleet, [])
    return [offer.job for offer in board.offers(fleet)]


def test_with_none_but_the_house_agent_a_deadline_counts_as_well() -> None:
    assert offered([an_agent("house", house=True)], due(400), RICH) == ["due"]
    assert offered([an_agent("house", house=True)], replace(due(400), promised=None), RICH) == ["rich"], "control"
    away = an_agent("ann", slots=0)
    assert offered([an_agent("house", house=True), away], due(400), RICH) == ["due"]


def test_who_has_nothing_to_give_out_takes_no_turn_on_a_farm_of_one_slot() -> None:
    """He has waited for a day. Controls: he has frames to be cut, or a chunk that anybody may have."""
    urgent = due(3000)
    own = a_sampled_job(10_000, job="own", account=urgent.account, bid=1000)
    bob = a_sampled_job(job="bob", account="bob", created_at=later(-86_400))
    idle, chunk = replace(bob, uncut=()), a_chunk(job="bob")
    for his, queued, is_urgent in (
        (idle, (), True),
        (idle, (replace(chunk, house=True),), True),
        (bob, (), False),
        (idle, (chunk,), False),
    ):
        now = turns([urgent, own, his])
        now.hurry(ONE, queued)
        assert now.rank("due")[0] is not is_urgent
