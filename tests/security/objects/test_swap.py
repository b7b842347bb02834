"""What was verified is what is kept: the object is swapped at every moment after its upload was told.

Storage reaches the store over a wire on which its reading or its writing is held; the lender swaps the object behind its back.
The control in each case: what lies in the staging place afterwards is the swapped file, so a store-side copy, or a second
reading, would have kept it.
"""

import httpx
import pytest

from contracts.events import BundleRejected, BundleStored, FramesRejected, FramesStored, UploadFinished
from contracts.grants import Grant
from services.storage.domain.frame import staged_key
from tests.faults.wire import Way, Wire
from tests.integration.storage.players import Lender, Renter, a_bundle
from tests.integration.world import World
from tests.pictures import a_png, sha256
from tests.security.objects.conftest import OpenJob
from tests.security.objects.depot import Depot, put
from tests.waiting import until

GOOD = a_png(shade=33)
SWAPPED = GOOD[:-30] + bytes(30)


class Swap:
    """One frame, delivered honestly up to its completion, and swapped when the test says."""

    def __init__(self, lender: Lender, job: OpenJob, depot: Depot, frame: int) -> None:
        self._lender, self._job, self._depot, self._frame = lender, job, depot, frame
        self.grant: Grant = lender.grant(job.id, job.bundle)
        self._staged = staged_key(self.grant.attempt, frame, sha256(GOOD))

    async def deliver(self) -> None:
        self._room = (await self._lender.room(self.grant, {self._frame: GOOD}))[self._frame]
        assert await put(self._room, GOOD) == 200

    async def complete(self) -> None:
        await self._lender.complete(self.grant, {self._frame: GOOD})

    async def swap(self) -> None:
        assert await put(self._room, SWAPPED) == 200
        assert self._depot.body(self._staged) == SWAPPED, "who reads or copies it now gets the swapped one"

    async def kept(self) -> bytes:
        """What the renter downloads."""
        name = f"frames/{self._frame}"
        found = (await self._job.renter.downloads(self._job.id, name))[name]
        async with httpx.AsyncClient() as http:
            return (await http.get(found.url)).content


async def test_swapped_before_it_is_looked_at_it_is_refused(lender: Lender, job: OpenJob, depot: Depot) -> None:
    it = Swap(lender, job, depot, 1)
    await it.deliver()
    await it.swap()
    await it.complete()
    assert (await lender.world.hear(FramesRejected, attempt=it.grant.attempt)).frames[0].code == "wrong_hash"


@pytest.mark.parametrize(("frame", "moment"), [(2, "asks for it"), (3, "is answered"), (4, "writes what it has verified")])
async def test_swapped_while_it_is_looked_at_what_is_kept_is_what_was_verified(
    lender: Lender, job: OpenJob, depot: Depot, wire: Wire, frame: int, moment: str
) -> None:
    it = Swap(lender, job, depot, frame)
    await it.deliver()
    words = f"frames/{job.id}/{frame}-" if moment.startswith("writes") else f"staged/{it.grant.attempt}/"
    wire.hold("", words, Way.ANSWERED if moment == "is answered" else Way.SAID)
    await it.complete()
    await until(wire.holds, f"storage {moment}")
    await it.swap()
    wire.release()
    world = lender.world

    def judged() -> bool:
        return bool(world.said(FramesStored, attempt=it.grant.attempt) or world.said(FramesRejected, attempt=it.grant.attempt))

    await until(judged, "a verdict")
    if world.said(FramesStored, attempt=it.grant.attempt):
        assert await it.kept() == GOOD
    else:
        assert moment != "writes what it has verified", "it was good when it was looked at"
        assert world.said(FramesRejected, attempt=it.grant.attempt)[0].frames[0].code == "wrong_hash"


async def test_swapped_after_it_was_accepted_nothing_changes(lender: Lender, job: OpenJob, depot: Depot) -> None:
    it = Swap(lender, job, depot, 5)
    await it.deliver()
    await it.complete()
    stored = await lender.world.hear(FramesStored, attempt=it.grant.attempt)
    await it.swap()
    await it.complete()
    after = Swap(lender, job, depot, 6)
    await after.deliver()
    await after.complete()
    await lender.world.hear(FramesStored, attempt=after.grant.attempt)
    assert await it.kept() == GOOD
    assert depot.body(stored.frames[0].key) == GOOD
    assert len(lender.world.said(FramesStored, attempt=it.grant.attempt)) == 1


async def test_of_a_bundle_only_what_was_announced_is_kept_though_a_part_is_sent_again_when_it_is_finished(
    world: World, wire: Wire, depot: Depot
) -> None:
    """This store takes a part once; one that takes it again gives storage bytes that have another hash."""
    renter, data = Renter(world), a_bundle("swapped")
    upload = await renter.begin(data)
    granted = await renter.parts(upload)
    await renter.send(data, granted)
    wire.hold("", f"incoming/{upload}", Way.SAID)
    await world.say("intake", UploadFinished(upload=upload, account=renter.account))
    await until(wire.holds, "storage begins to look")
    replaced = await put(granted.parts[0].url, data[:-10] + bytes(10), None) == 200
    wire.release()
    verdict = await renter.verdict(upload)
    assert isinstance(verdict, BundleRejected if replaced else BundleStored)
    assert [depot.body(key) for key in depot.keys(f"bundles/{renter.account}")] == ([] if replaced else [data])


async def test_once_a_bundle_is_kept_its_old_urls_reach_nothing(world: World, depot: Depot) -> None:
    renter, data = Renter(world), a_bundle("kept")
    upload = await renter.begin(data)
    granted = await renter.parts(upload)
    await renter.send(data, granted)
    assert isinstance(await renter.finish(upload), BundleStored)
    assert await put(granted.parts[0].url, data[:-10] + bytes(10), None) in (403, 404)
    (key,) = depot.keys(f"bundles/{renter.account}")
    assert depot.body(key) == data
