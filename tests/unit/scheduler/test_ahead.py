"""Work given ahead: attempts that their agent says are about to end occupy no slot, within bounds it cannot talk away."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import AgentReady
from contracts.values import Hardware
from services.scheduler.domain.agent import MOST_HANDS, Agent, free_slots, freed, ready, reserved
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.policy import Policy
from tests.unit.scheduler.builders import GIB, an_agent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def hands(*attempts: str) -> tuple[Hand, ...]:
    return tuple(Hand(attempt, f"chunk-{attempt}", "job", NOW, heard=True) for attempt in attempts)


def said(agent: Agent, attempts: tuple[str, ...], ending: tuple[str, ...], slots: int = 1) -> Agent:
    hardware = Hardware(cores=1, memory_bytes=4 * GIB)
    word = AgentReady(run=agent.run, slots=slots, attempts=attempts, ending=ending, hardware=hardware)
    return ready(agent, word, "", NOW, Policy())[0]


def test_a_full_agent_has_no_free_slot() -> None:
    assert free_slots(an_agent(slots=1, hands=hands("a"))) == 0


def test_an_attempt_about_to_end_makes_room_for_one_and_not_for_two() -> None:
    agent = said(an_agent(slots=1, hands=hands("a")), ("a",), ("a",))
    assert free_slots(agent) == 1
    agent = reserved(agent, hands("b"))
    assert free_slots(agent) == 0
    assert free_slots(freed(agent, "a")) == 0
    assert free_slots(freed(agent, "b", "a")) == 1


def test_an_attempt_that_was_not_about_to_end_after_all_counts_again() -> None:
    agent = reserved(said(an_agent(slots=1, hands=hands("a")), ("a",), ("a",)), hands("b"))
    agent = said(agent, ("a", "b"), ())
    assert free_slots(agent) == 0
    assert free_slots(freed(agent, "a")) == 0


@given(slots=st.integers(1, 4), held=st.integers(0, 10))
def test_who_says_that_everything_is_about_to_end_gets_no_more_than_twice_its_slots(slots: int, held: int) -> None:
    names = tuple(f"a{number}" for number in range(held))
    agent = replace(an_agent(slots=slots, hands=()), hands=hands(*names))
    agent = said(agent, names, names, slots)
    assert free_slots(agent) + held <= max(held, MOST_HANDS * slots)
    assert free_slots(agent) <= slots
