"""Two processes of the scheduler on the same documents: one hears storage and the agents, the other stands by and judges too."""

from datetime import datetime

import pytest_asyncio
from prometheus_client import REGISTRY

from contracts.events import DeadlineMissed
from contracts.shards import UNDIVIDED, Shard, shard_of
from contracts.values import Limits
from services.scheduler.desk import Desk
from services.scheduler.domain.agent import Agent, Decided, pulsed
from services.scheduler.domain.chunk import Ending
from services.scheduler.domain.states import JobState
from services.scheduler.leases import Hearing, Leases
from services.scheduler.sweeps import Promises
from tests.unit.scheduler.builders import FRAME, POLICY, a_sampled_job, a_submission, later
from tests.unit.scheduler.office import Office, in_anns_hand

MINE = Shard(shard_of("ann", 2), 2)
OTHER = Shard(1 - MINE.number, 2)


@pytest_asyncio.fixture
async def office() -> Office:
    """One job, whose only chunk ann has in hand."""
    return await in_anns_hand()


def another(office: Office, shard: Shard = UNDIVIDED) -> tuple[Desk, Leases]:
    """A further process, and what it judges leases by."""
    office.begin(POLICY, shard)
    return office.desk, Leases(office.desk, Hearing(lambda: True))


async def judged(office: Office, seconds: int, *judges: Leases) -> list[Ending]:
    """Ann pulses meanwhile. The first attempt's end, once it has one."""
    for _ in range(seconds // 5):
        office.clock.pass_by(5)
        await office.agents.update("ann", _pulse)
        for one in judges:
            await one.sweep()
    return [past.why for past in office.all_chunks()[0].former][:1]


def _pulse(agent: Agent, now: datetime) -> Decided:
    return pulsed(agent, agent.run, [hand.attempt for hand in agent.hands], now, POLICY)


async def test_who_stands_by_waits_for_storage_as_long_as_who_hears_it(office: Office) -> None:
    """Ann's frames lie in the store, which is away. Before, who had heard nothing of either ended the attempt after a moment."""
    (hears, first), (_, standby) = another(office), another(office)
    await judged(office, 60, first, standby)
    hears.verification.heard(office.clock.at, POLICY)
    await judged(office, FRAME - 60, first, standby)
    hears.verification.claimed(office.clock.at)
    assert await judged(office, POLICY.settle_silent, first, standby) == []
    assert await judged(office, 30, first, standby) == [Ending.LOST]


async def test_without_the_word_of_the_other_process_it_ends_after_a_moment(office: Office) -> None:
    """The control: nobody has told what was claimed."""
    (hears, _), (_, standby) = another(office), another(office)
    await judged(office, FRAME, standby)
    hears.verification.claimed(office.clock.at)
    assert await judged(office, POLICY.settle + 15, standby) == [Ending.LOST]


async def test_a_new_process_knows_what_storage_said_to_the_one_before(office: Office) -> None:
    hears, first = another(office)
    hears.verification.heard(office.clock.at, POLICY)
    await first.sweep()
    after, second = another(office)
    assert not after.verification.has_spoken(office.clock.at)
    await second.sweep()
    assert after.verification.has_spoken(office.clock.at)


async def test_before_its_last_end_an_attempt_is_judged_by_the_shard_that_hears_its_agent(office: Office) -> None:
    """The other would not have heard that its frames lie in the store. Beyond the last end nothing is waited for."""
    _, other = another(office, OTHER)
    assert await judged(office, FRAME + 60, other) == []
    _, mine = another(office, MINE)
    assert await judged(office, FRAME + 60, mine) == [Ending.LOST]


async def test_at_its_last_end_any_shard_takes_the_chunk_back(office: Office) -> None:
    held = office.all_chunks()[0].holder
    assert held is not None
    assert held.last_end is not None
    _, other = another(office, OTHER)
    seconds = int((held.last_end - office.clock.at).total_seconds())
    assert await judged(office, seconds + 30, other) == [Ending.LOST]


async def test_a_missed_deadline_is_told_and_counted_once(office: Office) -> None:
    """Both have looked at the board before either has told it."""
    due = a_submission(job="due", limits=Limits(deadline=later(100)))
    await office.jobs.store.add("due", a_sampled_job(100, job="due", state=JobState.RENDERING, asked=due))
    office.clock.at = later(500)
    desks = [another(office)[0] for _ in range(2)]
    for desk in desks:
        assert "due" in (await desk.dispatch.board()).jobs
    before = missed()
    for desk in desks:
        await Promises(desk).sweep()
    assert missed() == before + 1
    assert [one.job for one in office.told if isinstance(one, DeadlineMissed)] == ["due"]


def missed() -> float:
    return REGISTRY.get_sample_value("framelend_scheduler_deadlines_total", {"outcome": "missed"}) or 0.0
