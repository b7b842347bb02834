"""Two processes that cut the same jobs: who loses cuts again, all that were lost together, and no frame is cut twice."""

from collections.abc import Iterable
from typing import Any, cast

import pytest

from contracts.values import frames
from services.chassis.repository import Change, Contended, Saved
from services.scheduler.domain.job import Job
from services.scheduler.domain.states import JobState
from services.scheduler.parcelling import Parcelling, Parcels, Wish
from tests.unit.clock import Clock
from tests.unit.scheduler.builders import POLICY, WU, a_sampled_job
from tests.unit.scheduler.memory import MemoryJobs, Store

JOBS = ("long", "short", "third")


class Remembering(Store[Job]):
    """Remembers jobs as they were at first, as a process does that others have overtaken."""

    def __init__(self) -> None:
        super().__init__(Clock(), lambda *_: None, lambda: False)
        self.first: dict[str, Saved[Job]] = {}
        self.readings: list[set[str]] = []
        self.is_deaf = False
        """The guard off: writes do not ask for the version."""

    async def recall_many(self, ids: Iterable[str]) -> dict[str, Saved[Job]]:
        return {id: self.first[id] for id in set(ids)}

    async def read_many(self, ids: Iterable[str]) -> dict[str, Saved[Job]]:
        self.readings.append(set(ids))
        return await super().read_many(self.readings[-1])

    async def save(self, changes: Any) -> list[bool]:
        if self.is_deaf:
            changes = [Change(self.saved(one.before.id), one.state, one.events) for one in changes]
        return await super().save(changes)


async def some_jobs() -> Remembering:
    store = Remembering()
    for job in JOBS:
        await store.add(job, a_sampled_job(400, job=job, state=JobState.RENDERING))
        store.first[job] = store.saved(job)
    return store


async def both_cut(store: Remembering) -> list[Parcels]:
    wishes = [Wish(job, [60 * WU] * 2, 4, frozenset()) for job in JOBS]
    found: list[Parcels] = []
    for _ in range(2):
        found += await Parcelling(MemoryJobs(cast(Any, store)), POLICY).cut(wishes)
    return found


def cut_frames(parcels: list[Parcels]) -> list[tuple[str, int]]:
    return [(job.job, frame) for job, cuts in parcels for one in cuts for frame in frames(one.frames)]


async def test_who_was_overtaken_reads_all_that_were_lost_at_once_and_cuts_other_frames() -> None:
    store = await some_jobs()
    each = cut_frames(await both_cut(store))
    assert store.readings == [set(JOBS)]
    assert len(each) == len(set(each)) > 0


async def test_without_the_version_the_same_frames_would_be_cut_twice() -> None:
    store = await some_jobs()
    store.is_deaf = True
    each = cut_frames(await both_cut(store))
    assert len(each) > len(set(each))


async def test_who_is_overtaken_every_time_gives_up_for_now() -> None:
    store = await some_jobs()
    store._loses = lambda: True
    with pytest.raises(Contended):
        await both_cut(store)
