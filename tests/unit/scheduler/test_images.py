"""A machine with another render image than the farm's work names gets nothing; its owner reads why, and what to load."""

from contracts.events import AgentChanged, AgentOrder, AgentReady, Event
from contracts.values import Hardware
from services.scheduler.domain import agent as agents
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.policy import Policy
from services.scheduler.domain.quick import replace
from services.scheduler.domain.standing import Standing
from services.scheduler.domain.states import AgentState
from tests.unit.scheduler.builders import GIB, IMAGE, NOW, POLICY, an_agent, later

NEW = "sha256:" + "e" * 64
BEFORE, AFTER = replace(POLICY, image=IMAGE), replace(POLICY, image=NEW)


def a_ready(*images: str, slots: int = 1, reason: str = "", run: str = "run-1") -> AgentReady:
    hardware = Hardware(cores=1, memory_bytes=4 * GIB)
    return AgentReady(run=run, slots=slots, hardware=hardware, images=images, reason=reason)


def reasons(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.state, event.reason) for event in events if isinstance(event, AgentChanged)]


def pulsed(agent: Agent, policy: Policy = AFTER) -> tuple[Agent, list[Event]]:
    return agents.pulsed(agent, "run-1", [], NOW, policy)


def test_a_ready_with_another_image_is_told_which_one_is_wanted_and_with_the_right_one_it_works() -> None:
    """The control is the farm that names what the machine has."""
    agent, events = agents.ready(an_agent(state=AgentState.OFFLINE), a_ready(IMAGE), "m-1", NOW, AFTER)
    ((state, why),) = reasons(events)
    assert (state, "another render image" in why, NEW in why, "FRAMELEND_AGENT_IMAGE" in why) == ("draining", True, True, True)
    assert agents.free_slots(agent) == 0
    again, events = agents.ready(agent, a_ready(NEW, run="run-2"), "m-2", NOW, AFTER)
    assert (reasons(events), agents.free_slots(again)) == ([("online", "")], 1)
    same, events = agents.ready(an_agent(state=AgentState.OFFLINE), a_ready(IMAGE), "m-1", NOW, BEFORE)
    assert (reasons(events), agents.free_slots(same)) == ([("online", "")], 1)


def test_a_farm_that_comes_back_with_another_image_says_so_at_the_next_pulse_and_once() -> None:
    agent, events = pulsed(an_agent())
    assert [state for state, _ in reasons(events)] == ["draining"]
    assert pulsed(agent) == (agent, [])
    newer, events = pulsed(agent, replace(POLICY, image="sha256:" + "f" * 64))
    assert ["ffff" in why for _, why in reasons(events)] == [True]
    back, events = pulsed(newer, BEFORE)
    assert (reasons(events), agents.free_slots(back)) == ([("online", "")], 1)
    assert pulsed(back, BEFORE) == (back, [])


def test_what_keeps_a_machine_idle_otherwise_is_not_covered_up() -> None:
    resting = a_ready(IMAGE, slots=0, reason="somebody is at the machine")
    agent, events = agents.ready(an_agent(), resting, "m-1", NOW, AFTER)
    assert reasons(events) == [("draining", "somebody is at the machine")]
    assert pulsed(agent) == (agent, [])
    _, events = agents.ready(an_agent(), a_ready(slots=0, reason="the render image is not here"), "m-1", NOW, AFTER)
    assert reasons(events) == [("draining", "the render image is not here")]
    drained, _ = agents.ready(an_agent(order=AgentOrder.DRAIN), a_ready(IMAGE), "m-1", NOW, AFTER)
    assert drained.reason == "told to take nothing more"
    assert pulsed(drained) == (drained, [])


def test_one_without_the_image_is_not_told_to_be_online_when_its_quarantine_ends() -> None:
    """Control: one that has it is."""
    out = Standing(until=later(-1))
    for image, state in ((NEW, AgentState.DRAINING), (IMAGE, AgentState.ONLINE)):
        agent = an_agent(state=AgentState.DRAINING, reason="in quarantine", standing=out)
        agent, events = agents.judged(agent, replace(out, until=None), image)
        assert [told for told, _ in reasons(events)] == [state]
        assert (agent.state, NEW in agent.reason) == (state, image == NEW)
