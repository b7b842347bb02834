"""A document that cannot be written keeps nothing else from its time: leases end, deadlines are told, and somebody is called."""

from typing import Any, cast

import pytest

from contracts.events import DeadlineMissed
from services.scheduler.domain.states import AgentState, JobState
from services.scheduler.leases import Hearing, Leases
from services.scheduler.sweeps import Promises
from tests.unit.scheduler.builders import an_agent
from tests.unit.scheduler.memory import Store
from tests.unit.scheduler.office import Office, in_anns_hand
from tests.unit.scheduler.test_deadlines import due


class Refusing:
    """A store that refuses to write one document."""

    def __init__(self, store: Store[Any], refused: str) -> None:
        self._store, self._refused = store, refused

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def update(self, id: str, decide: Any) -> Any:
        self._look(id)
        return await self._store.update(id, decide)

    async def update_or_add(self, id: str, decide: Any) -> Any:
        self._look(id)
        return await self._store.update_or_add(id, decide)

    def _look(self, id: str) -> None:
        if id == self._refused:
            raise ZeroDivisionError(id)


async def test_an_agent_that_cannot_be_written_keeps_no_other_from_losing_its_lease() -> None:
    office = await in_anns_hand(an_agent("bob", slots=0))
    leases = Leases(office.desk, Hearing(lambda: True))
    office.agents.store = Refusing(cast(Any, office.agents.store), "ann")
    for _ in range(6):
        await leases.sweep()
        office.clock.pass_by(5)
    office.clock.pass_by(5)
    with pytest.raises(ExceptionGroup):
        await leases.sweep()
    states = {agent.agent: agent.state for agent in office.all_agents()}
    assert states == {"ann": AgentState.ONLINE, "bob": AgentState.OFFLINE}


async def test_a_job_that_cannot_be_written_keeps_no_other_deadline_from_being_told() -> None:
    office = Office()
    for name in ("broken", "sound"):
        await office.jobs.store.add(name, due(30, name, state=JobState.RENDERING))
    office.jobs.store = Refusing(cast(Any, office.jobs.store), "broken")
    office.clock.pass_by(31)
    with pytest.raises(ExceptionGroup):
        await Promises(office.desk).sweep()
    assert [one.job for one in office.told if isinstance(one, DeadlineMissed)] == ["sound"]
