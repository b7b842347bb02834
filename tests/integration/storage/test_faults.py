"""The store away, the service killed, time gone by: nothing is lost, nothing told twice, nothing kept too long."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from contracts.events import BundleStored, FramesStored, JobPackaged, JobPurged, JobRendered
from infra.local.farmfile import FarmFile
from infra.local.infrastructure import tool
from infra.local.layout import TOOLS
from services.chassis.verdicts import WorldAway
from services.storage.bucket import Address, Bucket
from tests.integration.storage.players import Lender, Renter, a_bundle
from tests.integration.world import Process, World, free_port
from tests.pictures import a_png, sha256
from tests.waiting import until


class Store:
    """An S3 server of this module's own, that can be taken away."""

    def __init__(self, farm: FarmFile, folder: Path) -> None:
        self._farm, self._folder, self.port = farm, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        keys = f'"{self._farm["FARM_S3_ACCESS_KEY"]},{self._farm["FARM_S3_SECRET_KEY"]}"'
        env = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "RCLONE_AUTH_KEY": keys, "RCLONE_CONFIG": ""}
        (self._folder / "data").mkdir(exist_ok=True)
        words = (tool("rclone", TOOLS / "venv/bin/rclone"), "serve", "s3", str(self._folder / "data"), "--addr", self.url[7:])
        self._running = subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self._running is not None
        self._running.kill()
        self._running.wait()

    def answers(self) -> bool:
        try:
            return httpx.get(self.url, timeout=1).status_code > 0
        except httpx.TransportError:
            return False


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(farm: FarmFile) -> AsyncIterator[World]:
    it = World(farm)
    await it.open()
    yield it
    await it.close()


@pytest.fixture(scope="module")
def store(farm: FarmFile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    it = Store(farm, tmp_path_factory.mktemp("s3"))
    it.start()
    yield it
    it.kill()


async def start(world: World, store: Store, **settings: str) -> Process:
    await until(store.answers, "the store is there")
    return await world.start("storage", FRAMELEND_S3_URL=store.url, **settings)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def storage(world: World, store: Store) -> Process:
    return await start(world, store)


async def test_frames_wait_for_a_store_that_is_away_and_nobody_is_blamed(world: World, store: Store, storage: Process) -> None:
    renter, lender = Renter(world), await Lender.enrolled(world)
    job, bundle = await renter.a_job()
    grant, pictures = lender.grant(job, bundle), {1: a_png(shade=1), 2: a_png(shade=2)}
    await lender.put(await lender.room(grant, pictures), pictures)
    store.kill()
    await lender.complete(grant, pictures)

    def waits() -> bool:
        return "waiting for the world" in storage.log.read_text()

    await until(waits, "storage notices that the store is away")
    assert storage.healthy()
    store.start()
    told = await world.hear(FramesStored, attempt=grant.attempt, seconds=30)
    assert {frame.frame for frame in told.frames} == {1, 2}
    assert await world.dead("storage") == []


async def test_a_frame_in_flight_survives_the_death_of_the_service(world: World, store: Store, storage: Process) -> None:
    renter, lender = Renter(world), await Lender.enrolled(world)
    job, bundle = await renter.a_job()
    grant, pictures = lender.grant(job, bundle), {frame: a_png(shade=frame) for frame in (1, 2, 3)}
    await lender.put(await lender.room(grant, pictures), pictures)
    store.kill()
    before = storage.log.read_text().count("waiting for the world")
    await lender.complete(grant, pictures)
    await until(lambda: storage.log.read_text().count("waiting for the world") > before, "the message is in its hands")
    storage.kill()
    store.start()
    await start(world, store)
    await world.hear(FramesStored, attempt=grant.attempt, seconds=30)

    def all_told() -> bool:
        events = world.said(FramesStored, attempt=grant.attempt)
        return sorted(frame.frame for event in events for frame in event.frames) == [1, 2, 3]

    await until(all_told, "each frame told exactly once")


async def test_what_the_store_refuses_to_delete_is_said_and_the_rest_is_gone(farm: FarmFile, store: Store) -> None:
    await until(store.answers, "the store is there")
    keys = farm["FARM_S3_ACCESS_KEY"], farm["FARM_S3_SECRET_KEY"]
    bucket = Bucket(Address(store.url, store.url, *keys, "deleting"))
    await bucket.open()
    try:
        for key in ("folder/file", "other"):
            await bucket.put(key, b"data", "text/plain")
        with pytest.raises(WorldAway, match="keeps 1 of 3"):  # to this store a folder with files in it is a key
            await bucket.delete(["folder", "other", "never/there"])
        assert (await bucket.get("folder/file", 10), await bucket.get("other", 10)) == (b"data", None)
        await bucket.delete(["folder/file", "other"])
    finally:
        await bucket.close()


async def test_a_finished_job_and_its_unused_bundle_go_when_their_time_is_over(world: World, store: Store) -> None:
    for process in list(world._processes):
        process.stop()
    await start(world, store, FRAMELEND_RETENTION_DAYS="0.00003", FRAMELEND_RETENTION_SWEEP_SECONDS="0.5")
    renter, lender = Renter(world), await Lender.enrolled(world)
    data = a_bundle("to be forgotten")
    assert isinstance(await renter.upload(data), BundleStored)
    job = await renter.submit(sha256(data))
    grant = lender.grant(job, sha256(data))
    await lender.deliver(grant, {1: a_png()})
    await world.hear(FramesStored, attempt=grant.attempt)
    await world.say("scheduler", JobRendered(job=job, account=renter.account))
    await world.hear(JobPackaged, job=job)
    await world.hear(JobPurged, job=job)
    assert await renter.downloads(job, "frames/1", "frames.zip") == {}

    async def forgotten() -> bool:
        bundles = world.database("storage")["bundles"]
        return await bundles.find_one({"account": renter.account}) is None

    await until(forgotten, "the bundle is forgotten")
    left = [path for path in store._folder.rglob("*") if path.is_file() and (job in str(path) or renter.account in str(path))]
    assert left == []
    upload = await renter.begin(data)
    assert (await renter.parts(upload)).parts, "it must be sent again"
