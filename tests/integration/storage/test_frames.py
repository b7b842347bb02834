"""Delivered frames on real components: the honest way, and every lie an agent may try."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from contracts.events import (
    AgentRevoked,
    CompletedFrame,
    FramesCompleted,
    FramesRejected,
    FramesSealed,
    FramesStored,
    FramesSuperfluous,
    JobCancelled,
    UploadGranted,
)
from contracts.values import FrameRange, Kind
from contracts.values import frames as numbers
from tests.integration.storage.players import Lender, Renter
from tests.integration.world import World
from tests.pictures import a_handmade_png, a_png, sha256
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("storage")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def job(world: World) -> tuple[str, str, Renter]:
    renter = Renter(world)
    return (*await renter.a_job(), renter)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lender(world: World) -> Lender:
    return await Lender.enrolled(world)


Job = tuple[str, str, Renter]


async def rejected(world: World, attempt: str) -> FramesRejected:
    found = await world.hear(FramesRejected, attempt=attempt)
    assert not world.said(FramesStored, attempt=attempt)
    return found


async def test_a_whole_message_of_frames_is_told_in_one_event(world: World, job: Job, lender: Lender) -> None:
    grant = lender.grant(*job[:2], frames=(FrameRange(first=100, last=119),))
    await lender.deliver(grant, {frame: a_png(shade=frame) for frame in range(100, 120)})
    told = await world.hear(FramesStored, attempt=grant.attempt)
    assert [frame.frame for frame in told.frames] == list(range(100, 120))
    assert {frame.cpu_micros for frame in told.frames} == {1_000_000}


@pytest.mark.parametrize(
    ("frame", "data", "code"),
    [
        (201, b"\xff\xd8\xff not a png at all", "not_png"),
        (202, a_handmade_png(30_000, 30_000, rows=1), "wrong_dimensions"),
        (203, a_png(65, 36), "wrong_dimensions"),
        (204, a_png()[:-20], "broken"),
        (205, a_handmade_png(rows=10), "broken"),
        (206, a_handmade_png(bits=16), "wrong_bits"),
    ],
    ids=["not an image", "decompression bomb", "other dimensions", "cut off", "rows missing", "other depth"],
)
async def test_what_is_not_the_picture_is_rejected(
    world: World, job: Job, lender: Lender, frame: int, data: bytes, code: str
) -> None:
    grant = lender.grant(*job[:2], frames=(FrameRange(first=frame, last=frame),))
    await lender.deliver(grant, {frame: data})
    told = await rejected(world, grant.attempt)
    assert [(one.frame, one.code) for one in told.frames] == [(frame, code)]
    assert told.frames[0].text
    second = lender.grant(*job[:2], frames=grant.frames, generation=1)
    await lender.deliver(second, {frame: a_png()})
    assert (await world.hear(FramesStored, attempt=second.attempt)).generation == 1


async def test_a_file_that_never_came_is_rejected_after_a_moment(world: World, job: Job, lender: Lender) -> None:
    grant, picture = lender.grant(*job[:2]), {11: a_png(shade=11)}
    await lender.room(grant, picture)
    await lender.complete(grant, picture)
    assert (await rejected(world, grant.attempt)).frames[0].code == "missing"


async def test_a_file_that_comes_a_moment_after_its_word_is_taken(world: World, job: Job, lender: Lender) -> None:
    grant, picture = lender.grant(*job[:2]), {12: a_png(shade=12)}
    rooms = await lender.room(grant, picture)
    await lender.complete(grant, picture)
    await asyncio.sleep(0.2)
    await lender.put(rooms, picture)
    await world.hear(FramesStored, attempt=grant.attempt)


async def test_one_word_said_twice_stores_once(world: World, job: Job, lender: Lender) -> None:
    grant, picture = lender.grant(*job[:2]), {15: a_png(shade=15)}
    await lender.put(await lender.room(grant, picture), picture)
    await asyncio.gather(*(lender.complete(grant, picture) for _ in range(3)))
    await world.hear(FramesStored, attempt=grant.attempt)
    await lender.complete(grant, picture)
    after = lender.grant(*job[:2])
    await lender.deliver(after, {16: a_png(shade=16)})
    await world.hear(FramesStored, attempt=after.attempt)
    assert len(world.said(FramesStored, attempt=grant.attempt)) == 1
    assert not world.said(FramesRejected, attempt=grant.attempt)


async def test_a_good_copy_that_comes_second_is_superfluous(world: World, job: Job, lender: Lender) -> None:
    first, second = lender.grant(*job[:2]), lender.grant(*job[:2])
    await lender.deliver(first, {17: a_png(shade=17)})
    await world.hear(FramesStored, attempt=first.attempt)
    await lender.deliver(second, {17: a_png(shade=17)})
    told = await world.hear(FramesSuperfluous, attempt=second.attempt)
    assert told.frames == (17,)
    assert not world.said(FramesStored, attempt=second.attempt)


async def test_two_copies_at_the_same_time_are_one_stored_and_one_superfluous(world: World, job: Job, lender: Lender) -> None:
    grants = [lender.grant(*job[:2]) for _ in range(2)]
    for shade, grant in enumerate(grants):
        await lender.put(await lender.room(grant, {18: a_png(shade=shade)}), {18: a_png(shade=shade)})
    await asyncio.gather(*(lender.complete(grant, {18: a_png(shade=shade)}) for shade, grant in enumerate(grants)))

    def both() -> bool:
        attempts = {grant.attempt for grant in grants}
        stored = {event.attempt for event in world.said(FramesStored) if event.attempt in attempts}
        second = {event.attempt for event in world.said(FramesSuperfluous) if event.attempt in attempts}
        return len(stored) == 1 and len(second) == 1 and stored | second == attempts

    await until(both, "one stored, one superfluous")


async def test_a_trashy_copy_that_comes_second_is_rejected_not_paid(world: World, job: Job, lender: Lender) -> None:
    first, second = lender.grant(*job[:2]), lender.grant(*job[:2])
    await lender.deliver(first, {19: a_png(shade=19)})
    await world.hear(FramesStored, attempt=first.attempt)
    await lender.deliver(second, {19: b"trash"})
    assert (await rejected(world, second.attempt)).frames[0].code == "not_png"


async def test_a_frame_gets_room_for_four_files_and_for_the_same_ones_again(world: World, job: Job, lender: Lender) -> None:
    grant = lender.grant(*job[:2], frames=(FrameRange(first=22, last=23),))

    def rooms(frame: int) -> int:
        granted = [event for event in lender.box if isinstance(event, UploadGranted) and event.attempt == grant.attempt]
        return sum(upload.frame == frame for event in granted for upload in event.uploads)

    for shade in (1, 2, 3, 4, 1):
        await lender.tell(grant, {22: a_png(shade=shade)})
    await until(lambda: rooms(22) == 5, "room for four files, and for the first again")
    await lender.tell(grant, {22: a_png(shade=5)})
    await lender.room(grant, {23: a_png()})
    await lender.tell(grant, {22: a_png(shade=1)})
    await until(lambda: rooms(22) == 6, "room for the first once more")


async def test_what_a_grant_does_not_allow_gets_no_room(world: World, job: Job, lender: Lender) -> None:
    good, picture = lender.grant(*job[:2]), a_png(shade=20)
    bad = [
        good.model_copy(update={"frames": (FrameRange(first=1, last=500),)}),
        lender.grant(*job[:2], until=datetime.now(UTC) - timedelta(seconds=1)),
        lender.grant(*job[:2], kind=Kind.PROBE),
        lender.grant(*job[:2], max_bytes=len(picture) - 1),
    ]
    for grant in bad:
        await lender.tell(grant, {20: picture})
    await lender.tell(lender.grant(*job[:2]), {21: picture})
    await lender.room(good, {20: picture})
    granted = [event for event in lender.box if isinstance(event, UploadGranted)]
    assert not {grant.attempt for grant in bad[1:]} & {event.attempt for event in granted}
    assert [upload.frame for event in granted if event.attempt == good.attempt for upload in event.uploads] == [20]


async def test_a_completed_frame_that_was_never_told_is_not_stored(world: World, job: Job, lender: Lender) -> None:
    grant = lender.grant(*job[:2])
    frame = CompletedFrame(frame=5, file_sha256=sha256(b"never told"))
    await world.say(lender.id, FramesCompleted(grant=grant, frames=(frame,)))
    after = lender.grant(*job[:2])
    await lender.deliver(after, {6: a_png(shade=6)})
    await world.hear(FramesStored, attempt=after.attempt)
    assert not world.said(FramesStored, attempt=grant.attempt)
    assert not world.said(FramesRejected, attempt=grant.attempt)


async def test_a_revoked_agents_grant_is_worth_nothing(world: World, job: Job) -> None:
    gone, other = await Lender.enrolled(world), await Lender.enrolled(world)
    await world.say("scheduler", AgentRevoked(agent=gone.id, owner="somebody", reason="left"))

    async def known() -> bool:
        return bool(await world.database("storage")["agents"].find_one({"_id": gone.id, "revoked": True}))

    await until(known, "storage knows of the revocation")
    await gone.tell(gone.grant(*job[:2]), {7: a_png()})
    await other.room(other.grant(*job[:2]), {7: a_png()})
    assert gone.box == []


async def test_frames_after_the_seal_are_passed_over_without_blame(world: World, lender: Lender) -> None:
    renter = Renter(world)
    job, bundle = await renter.a_job()
    early, late = lender.grant(job, bundle), lender.grant(job, bundle)
    await lender.deliver(early, {1: a_png(shade=1)})
    await world.hear(FramesStored, attempt=early.attempt)
    picture = {2: a_png(shade=2)}
    await lender.put(await lender.room(late, picture), picture)
    await world.say("scheduler", JobCancelled(job=job, account=renter.account, reason="enough"))
    sealed = await world.hear(FramesSealed, job=job)
    assert (list(numbers(sealed.frames)), sealed.count, sealed.outcome) == ([1], 1, "cancelled")
    await lender.complete(late, picture)
    await lender.tell(lender.grant(job, bundle), {3: a_png(shade=3)})
    other_job, other_bundle = await renter.a_job()
    after = lender.grant(other_job, other_bundle)
    await lender.deliver(after, {1: a_png(shade=4)})
    await world.hear(FramesStored, attempt=after.attempt)
    assert not world.said(FramesStored, attempt=late.attempt)
    assert not world.said(FramesRejected, attempt=late.attempt)


async def test_a_seal_in_the_middle_of_deliveries_tells_exactly_what_is_stored(world: World, lender: Lender) -> None:
    renter = Renter(world)
    job, bundle = await renter.a_job()
    grants = [lender.grant(job, bundle, frames=(FrameRange(first=at, last=at + 7),)) for at in range(1, 81, 8)]
    for grant in grants:
        pictures = {frame: a_png(shade=frame) for frame in numbers(grant.frames)}
        await lender.put(await lender.room(grant, pictures), pictures)
    for at, grant in enumerate(grants):
        await lender.complete(grant, {frame: a_png(shade=frame) for frame in numbers(grant.frames)})
        if at == 5:
            await world.say("scheduler", JobCancelled(job=job, account=renter.account, reason="enough"))
    sealed = await world.hear(FramesSealed, job=job)
    records = world.database("storage")["frames"]

    async def settled() -> bool:
        return not await records.count_documents({"job": job, "state": "arrived"})

    await until(settled, "nothing is left in between")
    told = sorted(frame.frame for event in world.said(FramesStored, job=job) for frame in event.frames)
    kept = sorted([record["frame"] async for record in records.find({"job": job, "state": "stored"})])
    assert list(numbers(sealed.frames)) == told == kept
    assert sealed.count == len(kept) < 80
