"""The scheduler as a process: agents that fall silent, lie, change their secret, are shut out."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import ChannelAccessRefused

from contracts.bus import Announcement, Announcer, NotAnnounced, new_id
from contracts.events import (
    Action,
    AgentChanged,
    AgentEnrolled,
    AgentPulse,
    AgentRevoked,
    AttemptVoid,
    ChunkCompleted,
    FarmControlled,
    FarmOrder,
    InspectionReported,
    JobControlled,
    JobEstimated,
    JobOffered,
    JobRendered,
    OfferAnswered,
    OfferWithdrawn,
)
from contracts.topology import BILLING, INTAKE, SCHEDULER, mailbox
from contracts.values import Acceptance, Audience, FrameRange, Kind
from tests.integration.scheduler_stage import (  # noqa: F401
    Fleet,
    a_deposit,
    a_hold,
    a_quote,
    a_submission,
    enrolled,
    operator,
    quoted,
    quoted_only,
    rotated,
    secret_in,
    some_facts,
    the_fleet,
    the_scheduler,
    the_willing,
)
from tests.integration.world import Process, World
from tests.security.flood import metric
from tests.waiting import until


async def test_an_agent_that_falls_silent_loses_its_lease_and_its_late_frames_still_count(world: World, willing: Fleet) -> None:
    asked = a_submission(frames=(FrameRange(first=1, last=1),))
    willing.house.is_idle = True
    await world.say(INTAKE, asked)
    await world.say(BILLING, a_deposit(asked))
    await until(lambda: willing.house.held, "the inspection is in hand")
    willing.house.is_silent = True
    await world.hear(AgentChanged, agent=willing.house.agent, state="offline")
    willing.house.is_silent = False
    first = next(iter(willing.house.held.values()))
    await until(lambda: willing.house.stopped, "the void attempt was answered")
    assert {stop.attempt for stop in willing.house.stopped} == {first.grant.attempt}
    willing.house.is_idle = False
    await world.say(willing.house.agent, InspectionReported(grant=first.grant, facts=some_facts(), cpu_micros=1))
    estimate = await world.hear(JobEstimated, job=asked.job)
    assert estimate.frames == (), "one frame, sampled and final"
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    await world.hear(JobRendered, job=asked.job)


async def test_a_stranger_cannot_speak_of_an_attempt_it_was_never_given(world: World, willing: Fleet) -> None:
    asked = a_submission()
    await quoted(world, asked)
    await world.hear(JobRendered, job=asked.job)
    grant = willing.given(asked.job, Kind.RENDER)[0].grant
    eve = next(agent for agent in willing.all() if agent.agent != grant.agent)
    await world.dead(SCHEDULER)
    await world.say(eve.agent, ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))
    parked: list[AbstractIncomingMessage] = []

    async def parks() -> bool:
        parked.extend(await world.dead(SCHEDULER))
        return bool(parked)

    await until(parks, "the false word is parked")
    assert parked[0].headers["x-sender"] == eve.agent
    assert parked[0].headers["x-verdict"] == "sender_fault"


async def test_a_machine_by_hand_waits_for_its_lenders_yes_and_hears_of_the_jobs_end(world: World, willing: Fleet) -> None:
    lenders, asked = (willing.ann, willing.bob), a_submission(frames=(FrameRange(first=1, last=1000),))
    for lender in lenders:
        await lender.ready(accepts=Acceptance(by_hand=True))
    await quoted(world, asked)
    offers = [await world.hear(JobOffered, job=asked.job, owner=f"owner-of-{name}") for name in ("ann", "bob")]
    assert [offer.agents for offer in offers] == [(lender.agent,) for lender in lenders]
    await until(lambda: willing.given(asked.job, Kind.RENDER), "the house stands in, since no lender has said yes")
    assert not [one for lender in lenders for one in lender.assigned if one.grant.job == asked.job]
    await world.say(INTAKE, OfferAnswered(owner="owner-of-ann", job=asked.job, revision=1, accepted=True))
    await until(lambda: [one for one in willing.ann.assigned if one.grant.job == asked.job], "she gets it after her yes")
    assert all(one.chosen for one in willing.ann.assigned if one.grant.job == asked.job)
    assert not [one for one in willing.bob.assigned if one.grant.job == asked.job]
    stop = JobControlled(job=asked.job, account=asked.account, revision=1, action=Action.CANCEL, by="renter")
    await world.say(INTAKE, stop)
    for offer in offers:
        gone = await world.hear(OfferWithdrawn, job=asked.job, owner=offer.owner)
        assert gone.revision > offer.revision


async def test_only_those_whom_the_renter_names_render_and_who_comes_first_in_his_order(world: World, willing: Fleet) -> None:
    """Everybody is free and able: without the renter's word several of them would get a share, as other tests here see."""
    only = a_submission(allows=(Audience.NAMED,), lenders=("owner-of-bob",))
    await quoted(world, only)
    await world.hear(JobRendered, job=only.job)
    assert {one.grant.agent for one in willing.given(only.job, Kind.RENDER)} == {willing.bob.agent}
    samples = willing.given(only.job, Kind.SAMPLE)
    assert [one for one in samples if one.grant.agent == willing.ann.agent] == []
    assert len([one for one in samples if one.grant.agent == willing.house.agent]) == 1, "the anchor, whatever he allows"
    for liked in (willing.ann, willing.bob):
        ordered = a_submission(
            allows=(Audience.NAMED, Audience.ANYONE), lenders=(liked.agent,), frames=(FrameRange(first=1, last=6),)
        )
        estimate = await quoted_only(world, ordered)
        await until(lambda: nothing_in_hand(world), "everybody is free again")
        await world.say(BILLING, a_quote(estimate), a_hold(ordered))
        await world.hear(JobRendered, job=ordered.job)
        assert [one.grant.agent for one in willing.given(ordered.job, Kind.RENDER)] == [liked.agent]


async def nothing_in_hand(world: World) -> bool:
    return not await world.database(SCHEDULER)["agents"].count_documents({"hands.0": {"$exists": True}})


async def folded(process: Process) -> float:
    """How often it has folded what it has noted of agents' work."""
    return await metric(process, "framelend_sweeps_total", sweep="learning", outcome="done")


async def _is_beyond(process: Process, rounds: float) -> bool:
    """One that began since."""
    return await folded(process) > rounds + 1


async def test_a_machine_that_fails_three_renters_jobs_is_put_away_and_let_back_when_its_time_is_over(
    world: World, willing: Fleet, scheduler: list[Process]
) -> None:
    """Two renters' are not enough: who has a rival must find a third. What others could not do either is not held against it."""
    ann, agents = willing.ann, world.database(SCHEDULER)["agents"]
    learned = await folded(scheduler[-1])
    await until(lambda: _is_beyond(scheduler[-1], learned), "good work of before is learned, which would forgive what comes", 30)
    ann.is_broken = True
    for renter in ("ada", "bea"):
        await quoted_only(world, a_submission(account=renter))
        await ann.ready()
    await until(lambda: agents.find_one({"_id": ann.agent, "standing.mishaps.renter": "bea"}), "it is held against the machine")
    assert world.said(AgentChanged, agent=ann.agent, state="draining") == []
    await world.say(INTAKE, third := a_submission(account="cid"))
    await world.say(BILLING, a_deposit(third))
    away = await world.hear(AgentChanged, agent=ann.agent, state="draining")
    assert "in quarantine until" in away.reason
    assert "different renters" in away.reason
    ann.is_broken = False
    await until(
        lambda: [one for one in world.said(AgentChanged, agent=ann.agent) if one.revision > away.revision], "it is let back"
    )
    assert world.said(AgentChanged, agent=ann.agent)[-1].state == "online"
    known = await agents.find_one({"_id": ann.agent})
    assert known["standing"]["quarantines"] == 1
    late = {one["renter"] for one in known["standing"]["mishaps"]}
    assert late <= {"cid"}, "forgiven, but for what it had in hand and failed a moment later"
    fresh = a_submission(account="cid", allows=(Audience.NAMED,), lenders=(ann.agent,))
    await quoted(world, fresh)
    await world.hear(JobRendered, job=fresh.job)


async def test_an_enrolled_agent_is_told_and_can_reach_its_own_mailbox_only(world: World, willing: Fleet) -> None:
    ann, bob = willing.ann, willing.bob
    (told,) = world.said(AgentEnrolled, agent=ann.agent)
    assert (told.owner, told.house) == ("owner-of-ann", False)
    void = AttemptVoid(agent=ann.agent, job="job", chunk="chunk", attempt=new_id(), reason="to see that it arrives")
    await world.say(SCHEDULER, void)
    await until(lambda: void in ann.stopped, "it reads its own mailbox")
    channel = await ann.connection.channel()
    theirs = await channel.get_queue(mailbox(bob.agent), ensure=False)
    with pytest.raises(ChannelAccessRefused):
        await theirs.consume(ann.take)
    posing = Announcer(ann.connection, bob.agent)
    with pytest.raises(NotAnnounced):
        await posing.announce(Announcement(AgentPulse(run=ann.run)))


async def test_enrolling_again_renews_the_secret_and_somebody_elses_id_is_refused(
    world: World, willing: Fleet, tmp_path: Path
) -> None:
    again = ["--name", "x", "--out", str(tmp_path / "x.json"), "--amqp", f"amqp://127.0.0.1:1/{world.vhost}"]
    code, said = await operator(world, "--agent", willing.bob.agent, "--owner", "eve", *again)
    assert code != 0
    assert "belongs to owner-of-bob" in said
    assert len(world.said(AgentEnrolled, agent=willing.bob.agent)) == 1


async def test_a_revoked_agent_is_cut_off_and_its_id_is_never_used_again(world: World, willing: Fleet, tmp_path: Path) -> None:
    carl = await enrolled(world, tmp_path, "carl")
    code, said = await operator(world, "revoke", "--agent", carl.agent)
    carl.close()
    assert code == 0, said
    await world.hear(AgentRevoked, agent=carl.agent)
    await until(lambda: not carl.connection.connected.is_set(), "its connections are closed")
    await carl.connection.close()
    assert await world.refuses(carl.agent, carl.secret)
    code, said = await operator(
        world, "--agent", carl.agent, "--owner", "owner-of-carl", "--name", "c", "--out", str(tmp_path / "c"),
        "--amqp", f"amqp://127.0.0.1:1/{world.vhost}",
    )  # fmt: skip
    assert code != 0
    assert "never used again" in said


async def test_a_machine_changes_its_secret_while_it_holds_a_chunk(world: World, willing: Fleet) -> None:
    """The chunk is neither lost nor given twice; the connection that was open is the one that delivers it."""
    asked = a_submission()
    willing.bob.is_idle = True
    await world.say(INTAKE, asked)
    await world.say(BILLING, a_deposit(asked))
    await until(lambda: willing.bob.held, "a sample is in hand")
    (one,) = willing.bob.held.values()
    before = willing.bob.connection.transport
    code, said = await rotated(willing.bob.file)
    assert code == 0, said
    assert willing.bob.connection.transport is before, "it was not made anew"
    fresh = secret_in(willing.bob.file)
    assert await world.refuses(willing.bob.agent, willing.bob.secret)
    assert fresh != willing.bob.secret
    assert not await world.refuses(willing.bob.agent, fresh)
    await willing.bob.work(one.grant)
    await world.hear(JobEstimated, job=asked.job)
    given = [other for other in willing.given(asked.job) if other.grant.chunk == one.grant.chunk]
    assert [other.grant.attempt for other in given] == [one.grant.attempt]


async def test_a_stopped_farm_takes_back_what_is_in_hand_and_gives_it_out_again_when_it_is_resumed(
    world: World, willing: Fleet
) -> None:
    asked = a_submission()
    estimate = await quoted_only(world, asked)
    willing.ann.is_idle = willing.bob.is_idle = True
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    held = await until(lambda: willing.given(asked.job, Kind.RENDER), "a chunk is in hand")
    now = datetime.now(UTC)
    await world.say(INTAKE, FarmControlled(order=FarmOrder.STOP, revision=1, by="operator", at=now))
    stopped = held[0].grant.attempt
    await until(lambda: [one for agent in willing.all() for one in agent.stopped if one.attempt == stopped], "its agent is told")
    given = len(willing.given(asked.job))
    await world.say(INTAKE, FarmControlled(order=FarmOrder.PAUSE, revision=1, by="operator", at=now))
    for agent in (willing.ann, willing.bob):
        agent.is_idle = False
        await agent.ready()
    assert len(willing.given(asked.job)) == given
    await world.say(INTAKE, FarmControlled(order=FarmOrder.RESUME, revision=2, by="operator", at=now))
    await world.hear(JobRendered, job=asked.job)
    chunks = await world.database(SCHEDULER)["chunks"].find({"job": asked.job}).to_list(None)
    assert not [one for chunk in chunks for one in chunk["tries"]], "nobody is to blame"
