"""The scheduler as a process, with scripted agents: a job from its submission to `JobRendered`."""

import asyncio
from datetime import UTC, datetime, timedelta

from contracts.events import (
    Action,
    ChunkCompleted,
    DeadlineMissed,
    JobCancelled,
    JobControlled,
    JobEstimated,
    JobRendered,
    JobStateChanged,
    SamplingMeasured,
)
from contracts.grants import is_good
from contracts.topology import BILLING, INTAKE, SCHEDULER, STORAGE
from contracts.values import FrameRange, Kind, Limits, count, frames
from tests.integration.scheduler_stage import (  # noqa: F401
    SETTINGS,
    Fleet,
    Scripted,
    a_deposit,
    a_hold,
    a_quote,
    a_submission,
    quoted,
    quoted_only,
    stored,
    the_fleet,
    the_scheduler,
    the_willing,
)
from tests.integration.world import Process, World
from tests.waiting import until


async def test_a_job_goes_from_submission_to_rendered_with_every_frame_given_once(world: World, willing: Fleet) -> None:
    asked = a_submission()
    estimate = await quoted(world, asked)
    await world.hear(JobRendered, job=asked.job)
    given = willing.given(asked.job, Kind.SAMPLE, Kind.RENDER)
    assert sorted(frame for one in given for frame in frames(one.grant.frames)) == list(range(1, 13))
    assert count(estimate.frames) == 7
    moves = [one.state for one in world.said(JobStateChanged, job=asked.job)]
    assert moves == ["submitted", "inspecting", "estimating", "quoted", "queued", "rendering", "packaging"]
    samplers = {one.grant.agent for one in willing.given(asked.job, Kind.SAMPLE)}
    assert len(samplers) == 3, "several agents sample, one of them the house's"
    (measured,) = world.said(SamplingMeasured, job=asked.job)
    assert sorted(frame for work in measured.work for frame in frames(work.frames)) == [1, 3, 6, 9, 12]
    assert [work.kind for work in measured.work].count("inspect") == 1


async def test_assignments_are_signed_and_inspections_go_to_the_house(world: World, willing: Fleet) -> None:
    asked = a_submission()
    await quoted(world, asked)
    await world.hear(JobRendered, job=asked.job)
    keys = {"1": bytes.fromhex(world.farm["FARM_GRANT_KEY"])}
    for one in willing.given(asked.job):
        assert is_good(one.grant, keys, datetime.now(UTC))
        assert not is_good(
            one.grant.model_copy(update={"frames": ()})
            if one.grant.frames
            else one.grant.model_copy(update={"kind": Kind.RENDER}),
            keys,
            datetime.now(UTC),
        )
    assert {one.grant.agent for one in willing.given(asked.job, Kind.INSPECT)} == {willing.house.agent}
    saved = await world.database(SCHEDULER)["chunks"].find({"job": asked.job}).to_list(None)
    assert not [one for chunk in saved for one in chunk["pending"] if '"mac":""' not in one["body"] and "mac" in one["body"]]


async def test_a_killed_scheduler_goes_on_where_it_was(world: World, willing: Fleet, scheduler: list[Process]) -> None:
    """Killed with attempts in flight; what is said meanwhile waits in its inboxes, some of it twice."""
    asked = a_submission()
    for agent in (willing.ann, willing.bob):
        agent.is_idle = True
    await world.say(INTAKE, asked)
    await world.say(BILLING, a_deposit(asked))
    await until(lambda: willing.ann.held and willing.bob.held, "both lenders have a sample in hand")
    scheduler[0].kill()
    for agent in (willing.ann, willing.bob):
        agent.is_idle = False
        for grant in [one.grant for one in agent.held.values()]:
            await agent.work(grant)
            await world.say(STORAGE, stored(grant))
            await world.say(agent.agent, ChunkCompleted(job=grant.job, chunk=grant.chunk, attempt=grant.attempt))
    scheduler[0] = await world.start(SCHEDULER, **SETTINGS)
    estimate = await world.hear(JobEstimated, job=asked.job)
    await world.say(BILLING, a_quote(estimate), a_hold(asked), a_hold(asked))
    await world.hear(JobRendered, job=asked.job)
    given = willing.given(asked.job, Kind.SAMPLE, Kind.RENDER)
    assert sorted(frame for one in given for frame in frames(one.grant.frames)) == list(range(1, 13))
    assert len(world.said(JobRendered, job=asked.job)) == 1


async def test_a_cancelled_job_stops_its_attempts_and_takes_no_harm_from_what_comes_late(world: World, willing: Fleet) -> None:
    asked = a_submission()
    estimate = await quoted_only(world, asked)
    willing.ann.is_idle = willing.bob.is_idle = True
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    (one,) = (await until(lambda: willing.given(asked.job, Kind.RENDER), "a chunk is in hand"))[:1]
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=1, action=Action.CANCEL, by="ada"))
    cancelled = await world.hear(JobCancelled, job=asked.job)
    assert "ada" in cancelled.reason
    agent = next(agent for agent in willing.all() if agent.agent == one.grant.agent)
    await until(lambda: one.grant.attempt in {stop.attempt for stop in agent.stopped}, "the agent was told to stop")
    await world.say(STORAGE, stored(one.grant))
    chunks = world.database(SCHEDULER)["chunks"]

    async def nothing_open() -> bool:
        return not await chunks.count_documents({"job": asked.job, "state": {"$in": ["queued", "assigned", "rendering"]}})

    await until(nothing_open, "no chunk of it is open")
    assert not world.said(JobRendered, job=asked.job)


async def test_a_cancel_that_overtook_its_job_ends_it_at_once(world: World, willing: Fleet) -> None:
    asked = a_submission()
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=1, action=Action.CANCEL, by="ada"))
    tombs = world.database(SCHEDULER)["jobs"]
    await until(lambda: tombs.find_one({"_id": asked.job}), "the cancel is remembered")
    await world.say(INTAKE, asked)
    await world.hear(JobCancelled, job=asked.job)
    assert not willing.given(asked.job)


async def test_a_paused_job_gives_nothing_out_and_goes_on_when_resumed(world: World, willing: Fleet) -> None:
    asked = a_submission()
    estimate = await quoted_only(world, asked)
    willing.ann.is_idle = willing.bob.is_idle = True
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    await until(lambda: willing.ann.held or willing.bob.held, "a chunk is in hand")
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=1, action=Action.PAUSE, by="ada"))
    await world.hear(JobStateChanged, job=asked.job, state="paused")
    await until(lambda: not willing.ann.held and not willing.bob.held, "attempts were stopped")
    given = len(willing.given(asked.job))
    willing.ann.is_idle = willing.bob.is_idle = False
    await willing.ann.ready()
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=3, action=Action.RESUME, by="ada"))
    await world.say(INTAKE, JobControlled(job=asked.job, account="ada", revision=2, action=Action.PAUSE, by="ada"))
    assert len(willing.given(asked.job)) >= given
    await world.hear(JobRendered, job=asked.job)


async def works_one_off(agent: Scripted) -> None:
    await until(lambda: agent.held, "a chunk is in hand")
    await agent.work(next(iter(agent.held.values())).grant)


async def test_a_job_dearer_than_quoted_asks_its_renter_and_goes_on_at_the_new_price(world: World, willing: Fleet) -> None:
    """While it asks, what is in hand is finished and nothing is given out."""
    asked = a_submission(frames=(FrameRange(first=1, last=60),))
    estimate = await quoted_only(world, asked)
    lenders = willing.ann, willing.bob
    for one in lenders:
        one.is_idle, one.factor = True, 3.0
    await world.say(BILLING, a_quote(estimate), a_hold(asked))
    for _ in range(3):
        for one in lenders:
            await works_one_off(one)
    further = await world.hear(JobEstimated, job=asked.job, version=2)
    await world.hear(JobStateChanged, job=asked.job, state="requoting")
    assert "more work than quoted" in further.reason
    assert further.micro_wu.expected > 2.5 * count(further.frames) * 860_000
    for one in lenders:
        one.is_idle = False
        for had in list(one.held.values()):
            await one.work(had.grant)
        await one.ready()
    await world.say(BILLING, a_quote(further), a_hold(asked).model_copy(update={"version": 2}))
    await world.hear(JobRendered, job=asked.job)
    given = willing.given(asked.job, Kind.RENDER)
    versions = {frame: one.grant.version for one in given for frame in frames(one.grant.frames)}
    assert [frame for frame, version in sorted(versions.items()) if version == 2] == list(frames(further.frames))
    assert sum(count(one.grant.frames) for one in given) == len(versions) == count(estimate.frames), "nothing is given twice"
    kept = await world.database(SCHEDULER)["quotes"].find({"job": asked.job}).sort("version").to_list(None)
    assert [one["version"] for one in kept] == [1, 2]
    assert sum(one["frames"] for one in kept[0]["witnesses"]) > 0


async def test_a_missed_deadline_is_told_once_and_the_job_goes_on(world: World, willing: Fleet) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    late = a_submission(limits=Limits(deadline=now))
    early = a_submission(account="bea", limits=Limits(deadline=now + timedelta(hours=9)))
    estimate, other = await asyncio.gather(quoted_only(world, late), quoted_only(world, early))
    assert [one.outlook and one.outlook.feasibility for one in (estimate, other)] == ["impossible", "feasible"]
    for agent in willing.all():
        agent.is_idle = True
    for asked, each in ((late, estimate), (early, other)):
        await world.say(BILLING, a_quote(each), a_hold(asked))
    missed = await world.hear(DeadlineMissed, job=late.job)
    assert (missed.account, missed.deadline, missed.lacking) == ("ada", now, count(estimate.frames))
    for agent in willing.all():
        agent.is_idle = False
        for had in list(agent.held.values()):
            await agent.work(had.grant)
        await agent.ready()
    await world.hear(JobRendered, job=late.job)
    await world.hear(JobRendered, job=early.job)
    assert [one.job for one in world.said(DeadlineMissed)] == [late.job]
