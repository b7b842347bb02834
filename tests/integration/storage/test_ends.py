"""How jobs end: sealed without frames, cancelled with some, and what whom is given afterwards."""

import io
import zipfile

import httpx
import pytest

from contracts.events import FramesSealed, FramesStored, JobCancelled, JobFailed, JobPackaged, JobRendered
from contracts.values import Kind
from tests.integration.storage.players import Lender, Renter
from tests.integration.world import World
from tests.pictures import a_png
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("storage")


async def a_job_with_frames(world: World, kind: Kind, *frames: int) -> tuple[Renter, str]:
    renter, lender = Renter(world), await Lender.enrolled(world)
    job, bundle = await renter.a_job()
    grant = lender.grant(job, bundle, kind=kind)
    await lender.deliver(grant, {frame: a_png(shade=frame) for frame in frames})
    await world.hear(FramesStored, attempt=grant.attempt)
    return renter, job


async def test_a_cancelled_job_keeps_its_frames_and_gets_a_zip_of_them(world: World) -> None:
    renter, job = await a_job_with_frames(world, Kind.RENDER, 2, 3)
    await world.say("scheduler", JobCancelled(job=job, account=renter.account, reason="enough"))
    packaged = await world.hear(JobPackaged, job=job)
    assert [file.name for file in packaged.files] == ["frames.zip"]
    found = await renter.downloads(job, "frames.zip", "frames/2")
    async with httpx.AsyncClient() as http:
        data = (await http.get(found["frames.zip"].url)).content
        assert (await http.get(found["frames/2"].url)).content == a_png(shade=2)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["A wave/0002.png", "A wave/0003.png"]


async def test_samples_of_a_declined_quote_are_sealed_but_not_packaged(world: World) -> None:
    renter, job = await a_job_with_frames(world, Kind.SAMPLE, 1)
    await world.say("scheduler", JobCancelled(job=job, account=renter.account, reason="declined"))
    assert (await world.hear(FramesSealed, job=job)).count == 1
    other, finished = await a_job_with_frames(world, Kind.SAMPLE, 1)
    await world.say("scheduler", JobRendered(job=finished, account=other.account))
    await world.hear(JobPackaged, job=finished)
    assert not world.said(JobPackaged, job=job)


async def test_a_failure_that_comes_before_its_job_seals_it_once_it_is_known(world: World) -> None:
    renter = Renter(world)
    _, bundle = await renter.a_job()
    job = f"job-{renter.account}"
    failed = JobFailed(job=job, account=renter.account, code="no_camera", reason="There is no camera.")
    await world.say("scheduler", failed)
    await renter.submit(bundle, job=job)
    sealed = await world.hear(FramesSealed, job=job)
    assert (sealed.frames, sealed.count, sealed.outcome) == ((), 0, "failed")


async def test_an_end_said_twice_seals_once(world: World) -> None:
    renter, job = await a_job_with_frames(world, Kind.RENDER, 1)
    for end in (JobRendered(job=job, account=renter.account), JobCancelled(job=job, account=renter.account, reason="late")):
        await world.say("scheduler", end, end)
    await world.hear(JobPackaged, job=job)
    renter, other = await a_job_with_frames(world, Kind.RENDER, 1)
    await world.say("scheduler", JobRendered(job=other, account=renter.account))
    await world.hear(JobPackaged, job=other)
    assert [event.outcome for event in world.said(FramesSealed, job=job)] == ["rendered"]
    assert len(world.said(JobPackaged, job=job)) == 1


async def test_another_account_gets_no_url_at_all(world: World) -> None:
    renter, job = await a_job_with_frames(world, Kind.RENDER, 1)
    names = ("frames/1", "thumbnails/1", "frames.zip", "frames/../1", "frames/x", "nonsense", "frames/9999999999999")
    assert set(await renter.downloads(job, *names)) == {"frames/1", "thumbnails/1"}
    assert await Renter(world).downloads(job, *names) == {}
    assert await renter.downloads("job-unknown", *names) == {}


async def test_metrics_tell_what_became_of_frames(world: World, storage: object) -> None:
    await a_job_with_frames(world, Kind.RENDER, 1)
    url = getattr(storage, "url", "")

    def told() -> bool:
        text = httpx.get(f"{url}/metrics").text
        wanted = ('framelend_storage_frames_total{outcome="stored"}', "framelend_storage_verification_seconds_count")
        return all(name in text for name in wanted)

    await until(told, "the metrics")
