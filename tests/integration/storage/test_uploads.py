"""Uploads and bundles on real components: honest, mistaken, and hostile renters."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from contracts.events import BundleGranted, BundleRejected, BundleRequested, BundleStored, UploadRequested
from infra.local.layout import Layout
from tests.integration.storage.players import Lender, Renter, a_bundle
from tests.integration.world import Process, World
from tests.pictures import sha256
from tests.unit.storage.builders import BLEND, a_zip
from tests.waiting import until

MIB = 1 << 20


pytestmark = pytest.mark.usefixtures("storage")


async def test_a_bundle_of_several_parts_arrives_whole_in_any_order(world: World) -> None:
    renter = Renter(world)
    data = a_zip({"scene.blend": BLEND, "big.bin": bytes(range(256)) * 80_000}, method=0)
    upload = await renter.begin(data)
    granted = await renter.parts(upload)
    assert (granted.part_bytes, granted.parts_total, len(granted.parts)) == (8 * MIB, 3, 3)
    await renter.send(data, granted.model_copy(update={"parts": granted.parts[::-1]}))
    stored = await renter.finish(upload)
    assert isinstance(stored, BundleStored)
    assert (stored.bytes, stored.files) == (len(data), 2)


async def test_an_upload_that_has_sent_nothing_yet_outlives_the_end_of_all_others(world: World) -> None:
    first, second, data = Renter(world), Renter(world), a_bundle("patient")
    waiting = await second.begin(data)
    granted = await second.parts(waiting)
    done = await first.begin(a_bundle("hasty"))
    await first.send(a_bundle("hasty"), await first.parts(done))
    assert isinstance(await first.finish(done), BundleStored)
    place = Layout.of().data("s3") / f"test-{world.token}" / "incoming" / done
    await until(lambda: not place.exists(), "what it sent is cleared away")
    await second.send(data, granted)
    assert isinstance(await second.finish(waiting), BundleStored)


async def test_an_upload_ends_a_day_after_its_parts_were_last_asked_for(world: World, storage: Process) -> None:
    slow, idle, data = Renter(world), Renter(world), a_bundle("slow")
    goes_on, lies_still = await slow.begin(data), await idle.begin(data)
    granted = await slow.parts(goes_on)
    await idle.parts(lies_still)
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    uploads = world.database("storage").uploads
    await uploads.update_many({"_id": {"$in": [goes_on, lies_still]}}, {"$set": {"requested_at": yesterday}})
    await uploads.update_one({"_id": lies_still}, {"$set": {"asked_at": yesterday}})
    sweeping = await world.start("storage", FRAMELEND_S3_BUCKET=f"test-{world.token}")  # looks at its start
    rejected = await idle.verdict(lies_still)
    sweeping.stop()
    assert isinstance(rejected, BundleRejected)
    assert rejected.code == "expired"
    await slow.send(data, granted)
    assert isinstance(await slow.finish(goes_on), BundleStored)


async def test_a_part_of_another_length_is_refused_by_its_url(world: World) -> None:
    renter, data = Renter(world), a_bundle("lengths")
    granted = await renter.parts(await renter.begin(data))
    async with httpx.AsyncClient() as http:
        answer = await http.put(granted.parts[0].url, content=data + b"x")
        assert answer.status_code == 403
        assert (await http.put(granted.parts[0].url, content=data)).status_code == 200


async def test_the_same_account_need_not_send_a_bundle_twice_but_another_must(world: World) -> None:
    renter, other, data = Renter(world), Renter(world), a_bundle("once")
    assert isinstance(await renter.upload(data), BundleStored)
    again = await renter.begin(data)
    assert isinstance(await renter.verdict(again), BundleStored)
    of_the_other = await other.begin(data)
    granted = await other.parts(of_the_other)
    assert len(granted.parts) == 1
    assert not world.said(BundleStored, upload=of_the_other)


async def test_a_hash_that_is_a_lie_is_rejected_and_nothing_is_kept(world: World) -> None:
    renter, lie = Renter(world), sha256(b"something else")
    rejected = await renter.upload(a_bundle("lie"), told_sha256=lie)
    assert isinstance(rejected, BundleRejected)
    assert rejected.code == "wrong_hash"
    fresh = await renter.begin(a_bundle("lie"), told_sha256=lie)
    assert (await renter.parts(fresh)).parts, "the announced hash is not taken for known"


async def test_a_bundle_that_was_not_sent_whole_is_rejected(world: World) -> None:
    renter, data = Renter(world), a_bundle("missing part")
    rejected = await renter.finish(await renter.begin(data))
    assert isinstance(rejected, BundleRejected)
    assert rejected.code == "wrong_size"
    assert "again" in rejected.text


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"scene.blend": BLEND, "../evil.py": b"x"}, "path_escape"),
        ({"scene.blend": BLEND + bytes(32 * MIB)}, "bomb"),
        ({"readme.txt": b"no scene"}, "no_blend"),
    ],
)
async def test_an_unsafe_archive_is_rejected_with_words_for_the_renter(world: World, files: dict[str, bytes], code: str) -> None:
    rejected = await Renter(world).upload(a_zip(files))
    assert isinstance(rejected, BundleRejected)
    assert rejected.code == code
    assert len(rejected.text) > 20


async def test_what_is_no_archive_is_rejected(world: World) -> None:
    rejected = await Renter(world).upload(b"BLENDER17-01v0500 but not packed")
    assert isinstance(rejected, BundleRejected)
    assert rejected.code == "not_an_archive"


async def test_an_agent_gets_the_bundle_of_its_job_and_no_other(world: World) -> None:
    renter, thief, lender = Renter(world), Renter(world), await Lender.enrolled(world)
    data = a_bundle("mine")
    assert isinstance(await renter.upload(data), BundleStored)
    stolen = lender.grant(await thief.submit(sha256(data)), sha256(data))
    honest = lender.grant(await renter.submit(sha256(data)), sha256(data))
    await world.say(lender.id, BundleRequested(grant=stolen))
    await world.say(lender.id, BundleRequested(grant=honest))

    def granted() -> list[BundleGranted]:
        return [event for event in lender.box if isinstance(event, BundleGranted)]

    (only,) = await until(granted, "the honest job's bundle")
    assert only.attempt == honest.attempt
    async with httpx.AsyncClient() as http:
        assert (await http.get(only.url)).content == data
        assert (await http.get(only.url.replace(renter.account, thief.account))).status_code == 403
        assert (await http.put(only.url, content=b"x")).status_code == 403
        assert (await http.get(only.url.split("?")[0])).status_code in (400, 403)


async def test_a_forged_or_outdated_grant_gets_no_bundle_and_is_on_the_record(world: World) -> None:
    renter, lender = Renter(world), await Lender.enrolled(world)
    job, bundle = await renter.a_job()
    forged = lender.grant(job, bundle).model_copy(update={"job": "job-of-somebody-else"})
    outdated = lender.grant(job, bundle, until=datetime.now(UTC) - timedelta(seconds=1))
    for grant in (forged, outdated):
        await world.say(lender.id, BundleRequested(grant=grant))
    dead = []

    async def parked() -> bool:
        dead.extend(await world.dead("storage"))
        return len(dead) >= 1

    await until(parked, "a bad grant is parked")
    await world.say(lender.id, BundleRequested(grant=lender.grant(job, bundle)))
    await until(lambda: [event for event in lender.box if isinstance(event, BundleGranted)], "a good one is served")
    assert len([event for event in lender.box if isinstance(event, BundleGranted)]) == 1


async def test_a_grant_comes_before_its_job_and_is_served_when_the_job_is_known(world: World) -> None:
    renter, lender = Renter(world), await Lender.enrolled(world)
    data = a_bundle("early")
    assert isinstance(await renter.upload(data), BundleStored)
    early = lender.grant(f"job-{renter.account}", sha256(data))
    await world.say(lender.id, BundleRequested(grant=early))
    await until(lambda: world.said(BundleRequested, grant=early), "the broker has it")
    assert lender.box == []
    await renter.submit(sha256(data), job=early.job)
    await until(lambda: [event for event in lender.box if isinstance(event, BundleGranted)], "the bundle after the job")


async def test_asking_twice_for_one_upload_opens_one(world: World) -> None:
    renter, data = Renter(world), a_bundle("twice")
    upload = await renter.begin(data)
    await renter.parts(upload)
    await world.say("intake", UploadRequested(upload=upload, account=renter.account, bytes=len(data), sha256=sha256(data)))
    await renter.send(data, await renter.parts(upload))
    assert isinstance(await renter.finish(upload), BundleStored)
