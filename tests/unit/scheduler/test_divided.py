"""A scheduler divided into shards: each decides over the silence and the idleness of those it hears, and of nobody else."""

import pytest_asyncio

from contracts.events import JobProgressed
from contracts.shards import UNDIVIDED, Shard, shard_of
from services.scheduler.domain.states import AgentState, JobState
from tests.unit.scheduler.builders import POLICY, a_sampled_job, an_agent
from tests.unit.scheduler.office import Office

MINE = Shard(shard_of("ann", 2), 2)
OTHER = Shard(1 - MINE.number, 2)
SILENCE = 60


@pytest_asyncio.fixture
async def office() -> Office:
    """A job with much to do, and ann, who is idle."""
    it = Office()
    await it.jobs.store.add("job", a_sampled_job(400, state=JobState.RENDERING))
    await it.agents.store.add("ann", an_agent("ann"))
    return it


async def test_an_idle_agent_is_given_work_by_the_shard_that_hears_it(office: Office) -> None:
    for shard, is_given in ((OTHER, False), (MINE, True)):
        office.begin(POLICY, shard)
        await office.sweep()
        assert bool(office.all_agents()[0].hands) == is_given


async def test_a_shard_that_does_not_hear_an_agent_never_ends_its_lease(office: Office) -> None:
    """With one shard the same silence ends it."""
    await office.sweep()
    for shard, state in ((OTHER, AgentState.ONLINE), (UNDIVIDED, AgentState.OFFLINE)):
        office.begin(POLICY, shard)
        for _ in range(SILENCE // 5):
            office.clock.pass_by(5)
            await office.sweep()
        assert office.all_agents()[0].state is state


async def test_snapshots_say_whose_agents_they_speak_of(office: Office) -> None:
    told = []
    for shard in (UNDIVIDED, MINE):
        office.begin(POLICY, shard)
        office.desk.progress.touch("job")
        await office.desk.progress.tell()
        told.append([event for event in office.told if isinstance(event, JobProgressed)][-1])
    assert [(one.shard, one.shards) for one in told] == [(None, None), (MINE.number, 2)]
