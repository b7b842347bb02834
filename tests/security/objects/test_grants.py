"""URLs are given against a good grant only, and what it does not say is not given. Whatever is wrong in the tables here is the
one thing wrong: with that made right the same words are answered."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.bus import new_id
from contracts.events import (
    BundleGranted,
    BundleRequested,
    ChunkCompleted,
    ChunkFailed,
    ChunkReleased,
    CompletedFrame,
    Event,
    Fault,
    FramesCompleted,
    FramesRejected,
    FramesSealed,
    FramesStored,
    JobCancelled,
    Release,
    UploadGranted,
)
from contracts.grants import Grant, sign
from contracts.values import FrameRange, Kind
from tests.integration.storage.players import Lender, Renter
from tests.integration.world import World
from tests.pictures import a_png, sha256
from tests.security.objects.conftest import OpenJob
from tests.security.objects.depot import about
from tests.waiting import until

PICTURE = a_png(shade=21)
ANOTHERS_KEY = {"1": bytes(32)}
MORE_FRAMES = (FrameRange(first=1, last=500),)

FORGED: dict[str, Callable[[Grant], Grant]] = {
    "more frames": lambda good: good.model_copy(update={"frames": MORE_FRAMES}),
    "larger files": lambda good: good.model_copy(update={"max_bytes": 1 << 30}),
    "another job": lambda good: good.model_copy(update={"job": "job-else"}),
    "another bundle": lambda good: good.model_copy(update={"bundle": "a" * 64}),
    "another kind": lambda good: good.model_copy(update={"kind": Kind.SAMPLE}),
    "another attempt": lambda good: good.model_copy(update={"attempt": f"attempt-{new_id()}"}),
    "another price": lambda good: good.model_copy(update={"version": 7}),
    "another generation": lambda good: good.model_copy(update={"generation": 1}),
    "a later end": lambda good: good.model_copy(update={"until": good.until + timedelta(days=1)}),
    "no signature": lambda good: good.model_copy(update={"mac": ""}),
    "half a signature": lambda good: good.model_copy(update={"mac": good.mac[:32]}),
    "a signature in other letters": lambda good: good.model_copy(update={"mac": "é" * 64}),
    "a key nobody has": lambda good: good.model_copy(update={"key_id": "2"}),
    "signed by himself": lambda good: sign(good, ANOTHERS_KEY),
}
SIGNED_BUT: dict[str, dict[str, Any]] = {
    "over": {"until": datetime.now(UTC) - timedelta(seconds=1)},
    "for a probe": {"kind": Kind.PROBE},
    "for an inspection": {"kind": Kind.INSPECT},
    "for another frame": {"frames": (FrameRange(first=2, last=9),)},
    "for smaller files": {"max_bytes": len(PICTURE) - 1},
}


async def _said_for_both(lender: Lender, grant: Grant) -> None:
    await lender.tell(grant, {1: PICTURE})
    await lender.world.say(lender.id, BundleRequested(grant=grant))


async def _the_good_one_is_answered(lender: Lender, job: OpenJob) -> Grant:
    """Said last, so that all that came before it was judged."""
    good = lender.grant(job.id, job.bundle)
    await _said_for_both(lender, good)

    def both() -> bool:
        kinds = {type(event) for event in about(lender.box, good.attempt)}
        return kinds == {UploadGranted, BundleGranted}

    await until(both, "a good grant gets both")
    return good


async def test_no_field_of_a_grant_can_be_changed_by_who_carries_it(lender: Lender, job: OpenJob) -> None:
    for forge in FORGED.values():
        await _said_for_both(lender, forge(lender.grant(job.id, job.bundle)))
    good = await _the_good_one_is_answered(lender, job)
    assert {getattr(event, "attempt", "") for event in lender.box} == {good.attempt}


async def test_a_forged_field_is_all_that_was_wrong(lender: Lender, job: OpenJob) -> None:
    """The control: signed by the scheduler, more frames and larger files are what may be had."""
    wide = lender.grant(job.id, job.bundle, frames=MORE_FRAMES, max_bytes=1 << 30)
    assert set(await lender.room(wide, {400: PICTURE})) == {400}


async def test_a_grant_gives_what_it_says_and_no_more(lender: Lender, job: OpenJob) -> None:
    grants = {name: lender.grant(job.id, job.bundle, **but) for name, but in SIGNED_BUT.items()}
    for grant in grants.values():
        await lender.tell(grant, {1: PICTURE})
    await _the_good_one_is_answered(lender, job)
    rooms = [event for event in lender.box if isinstance(event, UploadGranted)]
    assert {name for name, grant in grants.items() for room in rooms if room.attempt == grant.attempt} == set()


async def test_an_overheard_grant_is_worth_nothing_to_another_agent(world: World, lender: Lender, job: OpenJob) -> None:
    thief = await Lender.enrolled(world)
    good = await _the_good_one_is_answered(lender, job)
    lender.box.clear()
    for grant in (good, good.model_copy(update={"agent": thief.id})):
        await _said_for_both(thief, grant)
        frames = (CompletedFrame(frame=1, file_sha256=sha256(PICTURE)),)
        await world.say(thief.id, FramesCompleted(grant=grant, frames=frames))
    await _the_good_one_is_answered(thief, job)
    assert about(thief.box, good.attempt) == []
    assert lender.box == [], "nobody is answered for what another has said"
    assert not world.said(FramesStored, attempt=good.attempt)


async def test_words_about_somebody_elses_chunk_are_on_the_speakers_record_only(
    world: World, lender: Lender, job: OpenJob
) -> None:
    """What the scheduler makes of them is in tests/farm/test_hostile_lender.py: nothing."""
    slanderer, grant = await Lender.enrolled(world), lender.grant(job.id, job.bundle)
    ids = {"job": grant.job, "chunk": grant.chunk, "attempt": grant.attempt}
    slander: list[Event] = [
        ChunkCompleted.model_validate(ids),
        ChunkReleased.model_validate({**ids, "reason": Release.STOPPED, "delivered": [{"first": 1, "last": 20}]}),
        ChunkFailed.model_validate({**ids, "fault": Fault.SCENE}),
    ]
    await world.say(slanderer.id, *slander)
    await lender.deliver(grant, {11: a_png(shade=11)})
    await world.hear(FramesStored, attempt=grant.attempt)


async def test_replayed_words_are_answered_alike_and_count_once(lender: Lender, job: OpenJob) -> None:
    world, picture = lender.world, {12: a_png(shade=12)}
    grant = lender.grant(job.id, job.bundle)
    await lender.deliver(grant, picture)
    await world.hear(FramesStored, attempt=grant.attempt)
    for _ in range(3):
        await lender.tell(grant, picture)
        await lender.complete(grant, picture)
    after = lender.grant(job.id, job.bundle)
    await lender.deliver(after, {13: a_png(shade=13)})
    await world.hear(FramesStored, attempt=after.attempt)
    assert len(world.said(FramesStored, attempt=grant.attempt)) == 1
    assert not world.said(FramesRejected, attempt=grant.attempt)


async def test_a_frame_whose_bytes_are_not_those_that_were_told_is_refused(lender: Lender, job: OpenJob) -> None:
    world, told, sent = lender.world, a_png(shade=14), a_png(shade=14)[:-30] + bytes(30)
    for frame, body, good in ((14, sent, False), (15, told, True)):
        grant = lender.grant(job.id, job.bundle)
        rooms = await lender.room(grant, {frame: told})
        await lender.put(rooms, {frame: body})
        await lender.complete(grant, {frame: told})
        if good:
            assert (await world.hear(FramesStored, attempt=grant.attempt)).frames[0].frame == frame
        else:
            assert (await world.hear(FramesRejected, attempt=grant.attempt)).frames[0].code == "wrong_hash"


@pytest.mark.parametrize("over", [True, False])
async def test_a_grant_of_a_job_that_is_over_opens_nothing(world: World, lender: Lender, job: OpenJob, over: bool) -> None:
    renter = Renter(world)
    ended, bundle = await renter.a_job()
    if over:
        await world.say("scheduler", JobCancelled(job=ended, account=renter.account, reason="enough"))
        await world.hear(FramesSealed, job=ended)
    grant = lender.grant(ended, bundle)
    await _said_for_both(lender, grant)
    await _the_good_one_is_answered(lender, job)
    if not over:
        await until(lambda: len(about(lender.box, grant.attempt)) == 2, "an open job's grant gets both")
    assert len(about(lender.box, grant.attempt)) == (0 if over else 2)
