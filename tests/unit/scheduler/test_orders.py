"""What an owner orders from afar, and whose work a lender takes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import AgentChanged, AgentControlled, AgentOrder, AgentOrdered, AgentReady, AttemptVoid, Event
from contracts.values import Acceptance, Hardware
from services.chassis.verdicts import NotYet
from services.scheduler.domain import agent as domain
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.orders import accepts, ordered, reminder
from services.scheduler.domain.states import AgentState, ChunkState
from tests.unit.scheduler.builders import GIB, IMAGE, NOW, POLICY, a_chunk, a_hand, a_holder, a_sampled_job, an_agent, some_facts
from tests.unit.scheduler.office import Office


def an_order(order: AgentOrder, revision: int = 1, agent: str = "ann", by: str = "owner-of-ann") -> AgentControlled:
    return AgentControlled(agent=agent, order=order, revision=revision, by=by)


def a_ready(run: str = "run-1", slots: int = 1, **changes: Any) -> AgentReady:
    hardware = Hardware(cores=1, memory_bytes=4 * GIB)
    return AgentReady(run=run, slots=slots, hardware=hardware, images=(IMAGE,), **changes)


def is_ready(agent: Agent, said: AgentReady) -> tuple[Agent, list[Event]]:
    return domain.ready(agent, said, f"m-{said.run}", NOW, POLICY)


def orders_told(events: list[Event]) -> list[AgentOrder]:
    return [event.order for event in events if isinstance(event, AgentOrdered)]


def test_a_drained_machine_keeps_its_hands_and_gets_nothing_more_whatever_it_says() -> None:
    agent, events = ordered(an_agent(hands=(a_hand(),)), an_order(AgentOrder.DRAIN))
    assert (agent.state, agent.hands, domain.free_slots(agent)) == (AgentState.DRAINING, (a_hand(),), 0)
    assert orders_told(events) == [AgentOrder.DRAIN]
    again, _ = is_ready(agent, a_ready(slots=4))
    assert domain.free_slots(again) == 0
    restarted, _ = is_ready(again, a_ready("run-2"))
    assert domain.free_slots(restarted) == 0


def test_an_enabled_machine_works_again_as_soon_as_it_says_so() -> None:
    drained, _ = ordered(an_agent(), an_order(AgentOrder.DRAIN))
    enabled, events = ordered(drained, an_order(AgentOrder.ENABLE, 2))
    assert orders_told(events) == [AgentOrder.ENABLE]
    assert domain.free_slots(is_ready(enabled, a_ready())[0]) == 1


def test_a_disabled_machine_is_suspended_until_it_is_enabled() -> None:
    disabled, events = ordered(an_agent(), an_order(AgentOrder.DISABLE))
    assert disabled.state is AgentState.SUSPENDED
    assert "disabled by its owner" in next(event.reason for event in events if isinstance(event, AgentChanged))
    back, _ = is_ready(disabled, a_ready("run-2"))
    assert back == disabled
    enabled, _ = ordered(back, an_order(AgentOrder.ENABLE, 2, by="operator"))
    assert enabled.state is AgentState.OFFLINE
    assert is_ready(enabled, a_ready("run-2"))[0].state is AgentState.ONLINE


def test_a_stopped_machine_works_again_when_it_is_started_again() -> None:
    stopped, events = ordered(an_agent(), an_order(AgentOrder.STOP))
    assert orders_told(events) == [AgentOrder.STOP]
    assert domain.free_slots(stopped) == 0
    assert domain.free_slots(is_ready(stopped, a_ready("run-2"))[0]) == 1


def test_a_machine_that_is_off_is_not_told_to_stop_lest_it_hears_so_when_it_is_started() -> None:
    _, events = ordered(an_agent(state=AgentState.OFFLINE), an_order(AgentOrder.STOP))
    assert orders_told(events) == []


def test_a_quarantined_or_revoked_machine_is_not_let_out_by_its_owner() -> None:
    for state in (AgentState.QUARANTINED, AgentState.REVOKED):
        for order in AgentOrder:
            assert ordered(an_agent(state=state), an_order(order))[0].state is state


@given(st.lists(st.tuples(st.sampled_from(AgentOrder), st.integers(1, 6)), max_size=12))
def test_in_whatever_order_orders_arrive_the_highest_revision_stands(story: list[tuple[AgentOrder, int]]) -> None:
    orders = {revision: order for order, revision in story}
    agent = an_agent()
    for _, revision in story:
        agent, _ = ordered(agent, an_order(orders[revision], revision))
        agent, _ = is_ready(agent, a_ready(f"run-{revision}"))
    if orders:
        last = orders[max(orders)]
        assert agent.order is last
        assert (domain.free_slots(agent) == 0) or last in (AgentOrder.ENABLE, AgentOrder.STOP)


# --- through the handler


async def _at_work(office: Office) -> None:
    await office.jobs.store.add("job", a_sampled_job(uncut=()))
    await office.chunks.store.add("chunk", a_chunk(state=ChunkState.RENDERING, holder=a_holder()))
    await office.agents.add(an_agent(hands=(a_hand(heard=True),)), [])


@pytest.mark.parametrize("order", [AgentOrder.DISABLE, AgentOrder.STOP])
async def test_what_a_disabled_or_stopped_machine_has_in_hand_goes_to_others(order: AgentOrder) -> None:
    office = Office()
    await _at_work(office)
    await office.hear(an_order(order))
    await office.hear(an_order(order))
    assert [chunk.state for chunk in office.all_chunks()] == [ChunkState.QUEUED]
    assert office.all_agents()[0].hands == ()
    assert [event.attempt for event in office.told if isinstance(event, AttemptVoid)] == ["first"]


async def test_a_drained_machine_finishes_what_it_has() -> None:
    office = Office()
    await _at_work(office)
    await office.hear(an_order(AgentOrder.DRAIN))
    assert [chunk.state for chunk in office.all_chunks()] == [ChunkState.RENDERING]
    assert not [event for event in office.told if isinstance(event, AttemptVoid)]


async def test_an_order_to_a_machine_nobody_knows_yet_waits() -> None:
    with pytest.raises(NotYet):
        await Office().hear(an_order(AgentOrder.DRAIN, agent="bob"))


@pytest.mark.parametrize("order", AgentOrder)
async def test_a_machine_that_comes_back_is_told_what_keeps_it_from_working(order: AgentOrder) -> None:
    office = Office()
    await office.agents.add(an_agent(), [])
    await office.hear(an_order(order))
    before = len(office.told)
    await office.hear(a_ready("run-2"), "ann")
    told = orders_told(office.told[before:])
    assert told == ([order] if order in (AgentOrder.DRAIN, AgentOrder.DISABLE) else [])


@pytest.mark.parametrize("order", [AgentOrder.DRAIN, AgentOrder.DISABLE])
async def test_however_often_a_machine_asks_with_its_mailbox_full_nothing_is_kept_for_it(order: AgentOrder) -> None:
    """What is saved and cannot be told stays in its document, until nothing can be written to that any more. Control: what is
    told in its own right, when the order comes, is saved."""
    office = Office()
    await office.agents.add(an_agent(), [])
    office.full_mailboxes.add("ann")
    await office.hear(an_order(order))
    assert orders_told(office.told) == [order]
    version, _ = office.agents.store.states["ann"]
    for number in range(500):
        await office.hear(a_ready(f"run-{number:03}"), "ann")
    assert orders_told(office.told) == [order]
    if order is AgentOrder.DISABLE:
        assert office.agents.store.states["ann"][0] == version, "not even written"


def test_who_is_out_is_reminded_of_nothing() -> None:
    for state in (AgentState.QUARANTINED, AgentState.REVOKED):
        assert reminder(an_agent(state=state, order=AgentOrder.DISABLE)) is None


# --- acceptance

RULES = Acceptance(minimum_price=100, engines=("CYCLES",), memory_bytes=GIB, renters=("ada",))


@pytest.mark.parametrize(
    "changes",
    [{"bid": 99}, {"facts": some_facts(engine="BLENDER_EEVEE_NEXT")}, {"memory_bytes": GIB + 1}, {"account": "bob"}],
)
def test_a_lender_is_offered_only_what_he_takes(changes: dict[str, Any]) -> None:
    agent = an_agent(accepts=RULES)
    assert accepts(agent, a_sampled_job())
    assert not accepts(agent, a_sampled_job(**changes))
    assert accepts(an_agent(), a_sampled_job(**changes))
