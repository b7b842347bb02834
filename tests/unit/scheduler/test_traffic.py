"""Who burdens the broker is seen there, also when nothing of it ever reaches an inbox."""

from typing import Any

import pytest

from contracts.events import EnrolmentRequested
from services.scheduler.domain.states import AgentState
from services.scheduler.domain.traffic import LOOKS, MOST, Rate, by_user, habitual, looked
from tests.unit.scheduler.office import Office

LOUD, QUIET = Rate(bytes=MOST.bytes + 1), Rate(bytes=MOST.bytes, packets=MOST.packets)


def test_a_users_connections_count_together() -> None:
    half = Rate(bytes=MOST.bytes * 0.6)
    assert habitual(looked({"ann": LOOKS - 1}, by_user([("ann", half), ("ann", half), ("bob", half)]))) == ["ann"]


@pytest.mark.parametrize("loud", [LOUD, Rate(packets=MOST.packets + 1)])
def test_one_look_is_a_burst_and_two_in_a_row_are_a_habit(loud: Rate) -> None:
    once = looked({}, {"ann": loud, "bob": QUIET})
    assert (once, habitual(once)) == ({"ann": 1}, [])
    assert habitual(looked(once, {"ann": loud})) == ["ann"]
    assert habitual(looked(looked(once, {"ann": QUIET}), {"ann": loud})) == []


def a_connection(user: str, rate: Rate) -> dict[str, Any]:
    return {"user": user, "recv_oct_details": {"rate": rate.bytes}, "recv_cnt_details": {"rate": rate.packets}}


async def test_an_agent_that_burdens_the_broker_is_quarantined_and_a_service_is_not() -> None:
    office = Office()
    for agent in ("ann", "bob"):
        await office.hear(EnrolmentRequested(agent=agent, owner="o", name=agent, secret_hash="A" * 48))
    office.management.connections = [a_connection("ann", LOUD), a_connection("scheduler", LOUD), a_connection("bob", QUIET)]
    office.management.connections += [{"user": "carl"}, {"user": "ann", "recv_oct_details": []}]
    for _ in range(LOOKS):
        known = await office.agents.read_many(["ann", "bob"])
        assert {one.state.state for one in known.values()} == {AgentState.ENROLLED}
        await office.traffic.sweep()
    known = await office.agents.read_many(["ann", "bob"])
    assert (known["ann"].state.state, known["bob"].state.state) == (AgentState.QUARANTINED, AgentState.ENROLLED)
    assert "too much traffic" in known["ann"].state.reason
    assert set(office.management.users) == {"bob"}
