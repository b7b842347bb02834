"""Who is heard: by what the broker vouches for, within limits, and never against the scheduler's word."""

import asyncio

import pytest

from contracts.events import AgentReady, DepositHeld
from contracts.topology import EVENTS, route
from services.chassis.conduct import Limits, Offence
from services.chassis.delivery import SENDER, speaker
from services.chassis.doorkeeper import REPORT_SECONDS, Doorkeeper, Misconduct
from tests.unit.chassis.messages import a_message

READY = route(AgentReady)
LIMITS = Limits()


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def a_doorkeeper(limits: Limits | None = LIMITS) -> tuple[Doorkeeper, Clock, list[Misconduct]]:
    clock, told = Clock(), list[Misconduct]()
    doorkeeper = Doorkeeper("scheduler", limits, clock)

    async def report(misconduct: Misconduct) -> None:
        told.append(misconduct)
        if len(told) == 1 and misconduct.agent == "unlucky":
            raise ConnectionError("nobody there")

    doorkeeper.reports_to(report)
    return doorkeeper, clock, told


async def says(doorkeeper: Doorkeeper, number: int, agent: str = "ann", body: bytes = b"{}") -> int:
    """How many of them are let in."""
    let_in = sum(doorkeeper.admits(a_message(agent, body=body), READY) for _ in range(number))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return let_in


async def test_a_flooder_is_dropped_beyond_its_burst_reported_once_and_the_others_are_heard() -> None:
    doorkeeper, _, told = a_doorkeeper()
    assert await says(doorkeeper, 5_000) == LIMITS.events_burst
    assert told == [Misconduct("ann", Offence.EVENTS, int(LIMITS.events_burst) + 1)]
    assert await says(doorkeeper, 10, "bob") == 10


async def test_what_is_dropped_stays_unanswered_until_its_agent_is_cut_off() -> None:
    """So that the broker sends no more of it meanwhile; others are not held."""
    doorkeeper, _, told = a_doorkeeper()
    await says(doorkeeper, 600)
    held = asyncio.create_task(doorkeeper.hold("ann"))
    await asyncio.wait_for(doorkeeper.hold("bob"), 5)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (len(told), held.done()) == (1, False)
    doorkeeper.heed("ann", "quarantined")
    await asyncio.wait_for(held, 5)
    await asyncio.wait_for(doorkeeper.hold("ann"), 5)


async def test_without_limits_everybody_is_heard_and_nobody_reported() -> None:
    """The positive control."""
    doorkeeper, _, told = a_doorkeeper(None)
    assert await says(doorkeeper, 5_000) == 5_000
    assert told == []


async def test_it_is_reported_again_after_a_minute_and_a_failed_report_after_a_second() -> None:
    doorkeeper, clock, told = a_doorkeeper()
    await says(doorkeeper, 600, "unlucky")
    assert len(told) == 1
    clock.at += 1.1
    await says(doorkeeper, 200, "unlucky")
    assert len(told) == 2
    clock.at += REPORT_SECONDS - 1
    await says(doorkeeper, 2_000, "unlucky")
    assert len(told) == 2
    clock.at += 2
    await says(doorkeeper, 2_000, "unlucky")
    assert len(told) == 3


async def test_silent_for_a_while_it_is_heard_again() -> None:
    doorkeeper, clock, _ = a_doorkeeper()
    await says(doorkeeper, 5_000)
    clock.at += LIMITS.memory_seconds + LIMITS.events_burst / LIMITS.events_per_second
    assert await says(doorkeeper, 100) == 100


async def test_faults_count_though_each_was_let_in() -> None:
    doorkeeper, _, told = a_doorkeeper()
    for _ in range(int(LIMITS.faults_burst) + 1):
        assert doorkeeper.admits(a_message(), READY)
        doorkeeper.erred("ann", READY)
    await asyncio.sleep(0)
    assert [one.offence for one in told] == [Offence.FAULTS]
    assert not doorkeeper.admits(a_message(), READY)
    assert not doorkeeper.still_admits(a_message(), READY)


async def test_what_was_let_in_and_has_waited_is_read_once_its_agent_is_within_its_limits_again() -> None:
    doorkeeper, clock, _ = a_doorkeeper()
    await says(doorkeeper, 5_000)
    assert not doorkeeper.still_admits(a_message(), READY)
    clock.at += LIMITS.memory_seconds + 1
    assert doorkeeper.still_admits(a_message(), READY)


async def test_faults_just_committed_are_not_forgiven_for_a_silence_before_them() -> None:
    """Also where nothing else is counted: what has waited for us comes all at once."""
    doorkeeper, clock, _ = a_doorkeeper()
    await says(doorkeeper, 1)
    clock.at += REPORT_SECONDS - 1
    doorkeeper.was_deaf()
    for _ in range(int(LIMITS.faults_burst) + 1):
        assert doorkeeper.admits(a_message(), READY)
        doorkeeper.erred("ann", READY)
    assert not doorkeeper.still_admits(a_message(), READY)
    assert not doorkeeper.admits(a_message(), READY)


async def test_a_silence_empties_the_buckets_also_when_we_were_deaf_at_its_end() -> None:
    doorkeeper, clock, told = a_doorkeeper()
    await says(doorkeeper, 5_000)
    clock.at += REPORT_SECONDS - 1
    doorkeeper.was_deaf()
    assert await says(doorkeeper, 5_000) == 5_000
    assert len(told) == 1


async def test_what_we_have_put_on_the_ladder_is_read_whatever_its_agent_has_said_since() -> None:
    """As when it comes; and an operator's replay is not thrown away."""
    doorkeeper, _, _ = a_doorkeeper()
    await says(doorkeeper, 5_000)
    again = a_message(exchange="", headers={SENDER: "ann"})
    assert doorkeeper.admits(again, READY)
    assert doorkeeper.still_admits(again, READY)
    doorkeeper.heed("ann", "quarantined")
    assert not doorkeeper.still_admits(again, READY)


async def test_what_waited_for_us_is_heard() -> None:
    doorkeeper, _, told = a_doorkeeper()
    doorkeeper.was_deaf()
    assert await says(doorkeeper, 5_000) == 5_000
    assert told == []


@pytest.mark.parametrize("state", ["quarantined", "revoked"])
async def test_who_is_out_is_not_heard_until_the_scheduler_says_otherwise(state: str) -> None:
    doorkeeper, _, told = a_doorkeeper()
    doorkeeper.heed("ann", state)
    assert await says(doorkeeper, 3) == 0
    retried = a_message(exchange="", headers={SENDER: "ann"})
    assert not doorkeeper.admits(retried, READY), "on the retry ladder neither"
    doorkeeper.heed("ann", "offline")
    assert await says(doorkeeper, 3) == 3
    assert told == []


def test_services_are_never_counted() -> None:
    doorkeeper, _, _ = a_doorkeeper()
    assert all(doorkeeper.admits(a_message("deposit", EVENTS), route(DepositHeld)) for _ in range(5_000))


def test_who_speaks_is_the_first_word_of_the_key_whatever_else_is_claimed() -> None:
    assert speaker(a_message("ann", user_id=None, headers={"CC": ["bob.agent.ready.v1"], SENDER: "bob"})) == "ann"
    assert speaker(a_message("x", exchange="", headers={SENDER: "ann"})) == "ann"
    assert speaker(a_message("x", exchange="")) == "unknown"
