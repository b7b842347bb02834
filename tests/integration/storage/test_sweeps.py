"""What is thrown away when its time is over: a hundred at a time, and none stands in the others' way."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import pytest_asyncio

from services.chassis.clock import DatabaseClock
from services.chassis.service import Ground
from services.storage.bucket import Bucket
from services.storage.domain.job import Job, JobState
from services.storage.domain.task import TaskKind
from services.storage.domain.upload import Bundle
from services.storage.repository import Bundles, Frames, Jobs, Tasks
from services.storage.sealing import Sealing
from tests.integration.world import World

KEEP = timedelta(days=7)
MANY = 103
LANE = (TaskKind.PURGE,)


class Deleting:
    """A store that notes what is thrown away."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def delete(self, keys: Sequence[str]) -> None:
        self.deleted += keys


class Storage:
    def __init__(self, database: Any) -> None:
        self.database, self.clock, self.bucket = database, DatabaseClock(database), Deleting()
        ground = Ground("storage", cast(Any, None), database, self.clock, *[cast(Any, None)] * 3)
        self.jobs, self.bundles, self.tasks = Jobs(ground), Bundles(ground), Tasks(database, self.clock)
        bucket = cast(Bucket, self.bucket)
        self.sealing = Sealing(self.jobs, Frames(ground), self.bundles, self.tasks, bucket, self.clock, KEEP)

    async def keeps(self, number: int, used_at: datetime, kept: bool = True) -> Bundle:
        bundle = Bundle("renter", f"{number:064x}", f"upload-{number}", 1, 1, 1, ("a.blend",), used_at, kept)
        await self.bundles.saved.add(bundle.id, bundle, ())
        return bundle


@pytest_asyncio.fixture(loop_scope="session")
async def storage(world: World) -> AsyncIterator[Storage]:
    database = world.database("sweeps")
    it = Storage(database)
    for repository in (it.jobs, it.bundles, it.tasks):
        await repository.ensure_indexes()
    yield it
    for collection in ("jobs", "bundles", "tasks"):
        await database[collection].drop()


async def test_jobs_that_cannot_be_purged_keep_no_other_from_it(storage: Storage) -> None:
    over = await storage.clock.now() - timedelta(minutes=1)
    for number in range(MANY):
        job = Job(f"job-{number}", "renter", "A wave", "b" * 64, JobState.SEALED, until=over)
        await storage.jobs.add(job)
    assert [await storage.sealing.order_purges() for _ in range(3)] == [100, 3, 0]
    one = await storage.tasks.take("worker", LANE)
    assert one is not None
    await storage.tasks.again(one, "given up by an older release", counted=True, given_up=True)
    assert await storage.sealing.order_purges() == 1
    assert await storage.tasks.subjects(TaskKind.PURGE) != []
    assert await storage.database["tasks"].count_documents({"given_up": False, "tries": 0}) == MANY


async def test_bundles_in_use_keep_no_unused_one_from_being_thrown_away(storage: Storage) -> None:
    long_ago = await storage.clock.now() - 2 * KEEP
    used = [await storage.keeps(number, long_ago) for number in range(MANY)]
    for bundle in used:
        await storage.jobs.add(Job(f"job-of-{bundle.upload}", bundle.account, "A wave", bundle.sha256))
    unused = await storage.keeps(MANY, long_ago)
    dropped = [await storage.sealing.drop_unused_bundles() for _ in range(2)]
    assert (sum(dropped), storage.bucket.deleted) == (1, [unused.key])
    assert await storage.database["bundles"].count_documents({"kept": True}) == MANY


async def test_an_interrupted_throwing_away_is_ended_whoever_names_the_bundle(storage: Storage) -> None:
    bundle = await storage.keeps(1, await storage.clock.now(), kept=False)
    await storage.jobs.add(Job("job", bundle.account, "A wave", bundle.sha256))
    assert await storage.sealing.drop_unused_bundles() == 1
    assert storage.bucket.deleted == [bundle.key]
    told = await storage.database.command("explain", {"find": "bundles", "filter": {"kept": False}})
    assert "thrown away" in str(told["queryPlanner"]["winningPlan"])
