"""An agent's slots, hands, speed and standing."""

import pytest

from contracts.events import AgentChanged, AgentEnrolled, AgentReady, AgentRevoked
from contracts.values import Benchmark, Hardware
from services.scheduler.domain import agent as agents
from services.scheduler.domain.agent import Agent
from services.scheduler.domain.evidence import Shown
from services.scheduler.domain.hands import Hand
from services.scheduler.domain.states import AgentState
from tests.unit.scheduler.builders import GIB, NOW, POLICY, WU, a_hand, an_agent, later


def a_ready(run: str = "run-1", slots: int = 2, attempts: tuple[str, ...] = (), wall: int = WU) -> AgentReady:
    return AgentReady(
        run=run, slots=slots, attempts=attempts, hardware=Hardware(cores=1, memory_bytes=GIB),
        benchmark=Benchmark(cpu_micros=wall, wall_micros=wall),
    )  # fmt: skip


def heard_hand(attempt: str = "first") -> Hand:
    return a_hand(attempt, heard=True)


def test_an_enrolled_agent_is_online_with_its_first_word() -> None:
    agent, (told,) = agents.enrolled("ann", "owner", "Ann", False)
    assert isinstance(told, AgentEnrolled)
    agent, (changed,) = agents.ready(agent, a_ready(), "m1", NOW, POLICY)
    assert isinstance(changed, AgentChanged)
    assert (changed.state, changed.revision) == ("online", 1)
    assert agents.free_slots(agent) == 2


def test_ready_is_absolute() -> None:
    agent = an_agent(slots=5, hands=(heard_hand("a"), heard_hand("b")))
    agent, _ = agents.ready(agent, a_ready(slots=2, attempts=("b",)), "m1", NOW, POLICY)
    assert [hand.attempt for hand in agent.hands] == ["b"]
    assert agents.free_slots(agent) == 1


def test_a_ready_said_before_an_assignment_arrived_does_not_deny_it() -> None:
    """Positive control: once the agent has spoken of the attempt, leaving it out denies it."""
    agent = an_agent(hands=(a_hand("on its way"), heard_hand("dropped")))
    agent, _ = agents.ready(agent, a_ready(), "m1", later(10), POLICY)
    assert [hand.attempt for hand in agent.hands] == ["on its way"]
    agent, _ = agents.ready(agent, a_ready(), "m2", later(46), POLICY)
    assert agent.hands == ()


def test_a_repeated_ready_denies_nothing() -> None:
    agent, _ = agents.ready(an_agent(), a_ready(), "m1", NOW, POLICY)
    agent = agents.reserved(agent, [a_hand()])
    agent, _ = agents.pulsed(agent, "run-1", ["first"], NOW, POLICY)
    again, _ = agents.ready(agent, a_ready(), "m1", NOW, POLICY)
    assert again.hands == agent.hands
    fresh, _ = agents.ready(agent, a_ready(), "m2", NOW, POLICY)
    assert fresh.hands == ()


def test_words_of_an_earlier_run_are_ignored() -> None:
    agent = an_agent(run="run-2", slots=1, hands=(heard_hand(),))
    assert agents.ready(agent, a_ready(run="run-1"), "m", NOW, POLICY)[0].hands == agent.hands
    assert agents.pulsed(agent, "run-1", [], NOW, POLICY) == (agent, [])


def test_no_more_is_reserved_than_there_are_slots() -> None:
    agent = agents.reserved(an_agent(slots=2), [a_hand("a"), a_hand("b")])
    assert agents.free_slots(agent) == 0
    with pytest.raises(ValueError, match="0 free slots"):
        agents.reserved(agent, [a_hand("c")])


def test_freeing_names_the_attempt() -> None:
    agent = an_agent(hands=(a_hand("a"),))
    assert agents.freed(agent, "b") is agent
    assert agents.freed(agents.freed(agent, "a"), "a").hands == ()


def test_an_agent_that_gave_a_chunk_back_gets_nothing_until_it_is_ready() -> None:
    agent = agents.gave_back(agents.reserved(an_agent(), [a_hand()]), "first", NOW)
    assert agents.free_slots(agent) == 0
    assert agents.free_slots(agents.ready(agent, a_ready(), "m", NOW, POLICY)[0]) == 2


def test_a_ready_that_overtook_the_release_counts() -> None:
    agent = agents.reserved(an_agent(), [a_hand()])
    agent, _ = agents.ready(agent, a_ready(), "m", NOW, POLICY)
    assert agents.free_slots(agents.gave_back(agent, "first", NOW)) == 2


def test_an_agent_that_never_says_ready_again_is_trusted_after_a_while() -> None:
    agent = agents.gave_back(agents.reserved(an_agent(), [a_hand()]), "first", NOW)
    assert agents.free_slots(agents.pulsed(agent, "run-1", [], later(59), POLICY)[0]) == 0
    assert agents.free_slots(agents.pulsed(agent, "run-1", [], later(61), POLICY)[0]) == 1


def test_an_attempt_that_pulses_leave_out_vanishes_after_two_of_them() -> None:
    agent = an_agent(hands=(heard_hand(),))
    agent, _ = agents.pulsed(agent, "run-1", [], NOW, POLICY)
    assert agents.vanished(agent, later(20), POLICY) == []
    assert [hand.attempt for hand in agents.vanished(agent, later(21), POLICY)] == ["first"]
    back, _ = agents.pulsed(agent, "run-1", ["first"], later(15), POLICY)
    assert agents.vanished(back, later(60), POLICY) == []


def test_an_assignment_that_was_never_picked_up_vanishes_after_its_time_in_the_mailbox() -> None:
    agent = an_agent(hands=(a_hand(),))
    assert agents.vanished(agent, later(45), POLICY) == []
    assert [hand.attempt for hand in agents.vanished(agent, later(46), POLICY)] == ["first"]


def test_a_lost_agent_that_is_heard_again_is_online_again() -> None:
    agent, (gone,) = agents.lost(an_agent(hands=(heard_hand(),)))
    assert isinstance(gone, AgentChanged)
    assert (gone.state, agent.hands) == ("offline", ())
    agent, (back,) = agents.pulsed(agent, "run-1", ["first"], NOW, POLICY)
    assert isinstance(back, AgentChanged)
    assert back.state == "online"


def test_an_agent_without_slots_is_draining() -> None:
    agent, _ = agents.ready(an_agent(), a_ready(slots=0), "m", NOW, POLICY)
    assert (agent.state, agents.free_slots(agent)) == (AgentState.DRAINING, 0)


def interrupted(agent: Agent, times: int) -> Agent:
    for _ in range(times):
        agent = agents.interrupted(agent, "job", NOW, POLICY)
    return agent


def test_three_interruptions_in_a_row_keep_an_agent_off_that_job_for_a_while() -> None:
    assert not agents.is_barred(interrupted(an_agent(), 2), "job", NOW)
    barred = interrupted(an_agent(), 3)
    assert agents.is_barred(barred, "job", later(599))
    assert not agents.is_barred(barred, "job", later(600))
    assert not agents.is_barred(barred, "another", NOW)


def test_a_completed_chunk_breaks_the_row() -> None:
    agent = agents.delivered(interrupted(an_agent(), 2), "job")
    assert not agents.is_barred(interrupted(agent, 2), "job", NOW)


def test_speed_moves_towards_what_was_shown_and_no_single_figure_moves_it_far() -> None:
    agent = an_agent(micro_wu_per_minute=100, told_micro_wu_per_minute=100)
    agent, events = agents.learned(agent, Shown(110, 60_000_000, 60_000_000))
    assert (agent.micro_wu_per_minute, events) == (102, [])
    liar, _ = agents.learned(agent, Shown(10**15, 1, 60_000_000))
    assert liar.micro_wu_per_minute <= 102 * (80 + 4 * 20) // 100


def test_a_speed_that_differs_by_a_tenth_is_told() -> None:
    agent = an_agent(micro_wu_per_minute=100, told_micro_wu_per_minute=100)
    agent, (told,) = agents.learned(agent, Shown(200, 60_000_000, 60_000_000))
    assert isinstance(told, AgentChanged)
    assert told.micro_wu_per_minute == 120


def test_a_revoked_agent_is_nobody() -> None:
    agent, events = agents.revoked(an_agent(hands=(heard_hand(),)), "fraud")
    assert [type(one) for one in events] == [AgentChanged, AgentRevoked]
    assert agents.ready(agent, a_ready(), "m", NOW, POLICY) == (agent, [])
    assert agents.pulsed(agent, "run-1", [], NOW, POLICY) == (agent, [])
    assert agents.revoked(agent, "fraud") == (agent, [])
