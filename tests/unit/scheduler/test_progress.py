"""What people watch goes on whatever machines say of themselves, and stays within what the broker lets through."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.events import AgentPulse, AttemptInHand, JobProgressed
from contracts.topology import MAX_MESSAGE_BYTES
from contracts.values import LAST_FRAME
from services.scheduler.domain.states import AgentState, JobState
from tests.unit.scheduler.builders import a_hand, a_sampled_job, an_agent
from tests.unit.scheduler.office import Office, in_anns_hand

LONG = "a" * 64


def an_attempt(attempt: str, job: str = "job", **changes: Any) -> AttemptInHand:
    return AttemptInHand(attempt=attempt, chunk="chunk", job=job, **{"frame": 1, **changes})


async def the_last_told(office: Office) -> JobProgressed:
    await office.desk.progress.tell()
    return [event for event in office.told if isinstance(event, JobProgressed)][-1]


async def test_a_frame_that_takes_longer_than_can_be_said_keeps_nothing_from_being_told() -> None:
    office = await in_anns_hand()
    (hand,) = office.all_agents()[0].hands
    await office.hear(AgentPulse(run="run-1", attempts=(an_attempt(hand.attempt, frame_started_seconds_ago=10_000_000),)), "ann")
    office.clock.pass_by(5)
    (share,) = (await the_last_told(office)).agents
    assert [one.seconds for one in share.under_way] == [10_000_000]


async def test_nobody_is_shown_at_work_on_what_he_was_not_given() -> None:
    office = await in_anns_hand()
    (hand,) = office.all_agents()[0].hands
    await office.jobs.store.add("other", a_sampled_job(job="other"))
    hers, made_up, elsewhere = an_attempt(hand.attempt), an_attempt("made-up"), an_attempt(hand.attempt, job="other")
    await office.hear(AgentPulse(run="run-1", attempts=(made_up, elsewhere, hers)), "ann")
    await office.desk.progress.tell()
    told = [event for event in office.told if isinstance(event, JobProgressed)][-2:]
    assert {one.job: [len(share.under_way) for share in one.agents] for one in told} == {"job": [1], "other": []}


async def test_a_job_that_cannot_be_told_of_keeps_no_other_from_being_told() -> None:
    office = await in_anns_hand()
    await office.jobs.store.add("bad", replace(a_sampled_job(job="bad"), account="no account"))
    for job in ("bad", "job"):
        office.desk.progress.touch(job)
    office.told.clear()
    with pytest.raises(ExceptionGroup):
        await office.desk.progress.tell()
    assert [event.job for event in office.told if isinstance(event, JobProgressed)] == ["job"]


@pytest.mark.parametrize("machines", [1, 15, 16, 200, 300])
async def test_the_largest_snapshot_is_one_that_the_broker_lets_through(machines: int) -> None:
    office = Office()
    await office.jobs.store.add(LONG, a_sampled_job(job=LONG, account=LONG, state=JobState.RENDERING, reason="\1" * 2_000))
    doing = {
        "frame": -LAST_FRAME, "frame_started_seconds_ago": 9_999_999.12345678, "sample": 1_000_000, "samples": 1_000_000,
        "remaining_seconds": 9_999_999.12345678,
    }  # fmt: skip
    attempts = tuple(an_attempt(f"attempt-{at}", LONG, **doing) for at in range(64))
    hands = tuple(a_hand(one.attempt, job=LONG) for one in attempts)
    for at in range(machines):
        name = f"{at:064}"
        await office.agents.store.add(name, an_agent(name, state=AgentState.ONLINE, hands=hands, micro_wu_per_minute=10**18))
        office.desk.progress.note(name, attempts, office.clock.at)
    told = await the_last_told(office)
    shown = [len(share.under_way) for share in told.agents]
    assert (len(shown), min(shown)) == (min(machines, 200), {1: 64, 15: 64, 16: 62}.get(machines, 5))
    assert all(len(share.frames) == len(share.under_way) for share in told.agents)
    assert len(told.model_dump_json(exclude_none=True)) < MAX_MESSAGE_BYTES
