"""A renter cannot reach another's bundle, upload, job or pictures by naming them. In each case the owner's same words succeed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from contracts.bus import new_id
from contracts.events import BundleStored, DownloadsGranted, DownloadsRequested, FramesStored, WebhookSet
from tests.integration.intake_stage import Person, Stage, connection
from tests.integration.storage.players import Lender, a_bundle
from tests.integration.world import Process, World
from tests.pictures import a_png, sha256
from tests.waiting import until

DATA = a_bundle("a secret scene", {"textures/wood.png": b"nobody else's"})
PICTURE = a_png(shade=44)
NOT_HIS = (404, 409)
"""Unknown, or announced by himself and not sent."""


@dataclass(frozen=True)
class Owned:
    """What the owner has: a stored bundle, its upload, a job on it with one stored frame."""

    owner: Person
    thief: Person
    upload: str
    job: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(world: World) -> AsyncIterator[Stage]:
    intake = await world.start("intake", FRAMELEND_STORE_ORIGIN=world.farm.http("S3"))
    key = world.farm["FARM_OPERATOR_KEY"]
    it = Stage(world, intake, Person("operator", key, connection(intake.url, key)))
    yield it
    await asyncio.to_thread(intake.stop)
    for person in (it.operator, *it.people):
        await person.http.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owned(stage: Stage, storage: Process, world: World) -> Owned:
    owner, thief = await stage.a_person("renter"), await stage.a_person("renter", "lender")
    upload = await _announced(owner, DATA)
    await _sent(owner, upload, DATA)
    submitted = await _submit(owner, sha256(DATA))
    assert submitted.status_code == 202, submitted.text
    job = str(submitted.json()["id"])
    lender = await Lender.enrolled(world)
    grant = lender.grant(job, sha256(DATA))
    await lender.deliver(grant, {1: PICTURE})
    await world.hear(FramesStored, attempt=grant.attempt)
    return Owned(owner, thief, upload, job)


async def _announced(who: Person, data: bytes) -> str:
    return str((await who.post("/v1/uploads", {"bytes": len(data), "sha256": sha256(data)})).json()["id"])


async def _sent(who: Person, upload: str, data: bytes) -> None:
    parts = (await who.get(f"/v1/uploads/{upload}/parts")).json()["parts"]
    async with httpx.AsyncClient() as http:
        (await http.put(parts[0]["url"], content=data)).raise_for_status()
    await who.post(f"/v1/uploads/{upload}/finish")
    state = (await who.get(f"/v1/uploads/{upload}", params={"wait": 20})).json()
    assert state["state"] == "stored", state


async def _submit(who: Person, bundle: str) -> httpx.Response:
    body = {"bundle": bundle, "frames": "1-10", "price_per_wu": "0.01"}
    return await who.post("/v1/jobs", body, key=uuid4().hex)


async def test_a_hash_that_only_another_has_sent_must_be_sent(owned: Owned, world: World) -> None:
    asked = {"bytes": len(DATA), "sha256": sha256(DATA)}
    mine, theirs = [await who.post("/v1/uploads", asked) for who in (owned.owner, owned.thief)]
    assert (mine.status_code, mine.json()["state"]) == (200, "stored")
    assert theirs.status_code == 202
    parts = await owned.thief.get(f"/v1/uploads/{theirs.json()['id']}/parts")
    assert parts.json()["parts"], "he is asked for the bytes, not told that they are known"
    assert not world.said(BundleStored, account=owned.thief.id)


async def test_a_job_on_a_bundle_of_somebody_else_is_not_taken(owned: Owned) -> None:
    assert (await _submit(owned.thief, sha256(DATA))).status_code in NOT_HIS
    assert (await _submit(owned.owner, sha256(DATA))).status_code == 202


async def test_a_bundle_that_storage_was_promised_but_never_got_is_no_way_to_it(owned: Owned) -> None:
    """He announces the right hash and sends something as long."""
    upload = await _announced(owned.thief, DATA)
    parts = (await owned.thief.get(f"/v1/uploads/{upload}/parts")).json()["parts"]
    async with httpx.AsyncClient() as http:
        (await http.put(parts[0]["url"], content=bytes(len(DATA)))).raise_for_status()
    await owned.thief.post(f"/v1/uploads/{upload}/finish")
    state = (await owned.thief.get(f"/v1/uploads/{upload}", params={"wait": 20})).json()
    assert state["state"] == "rejected"
    assert (await _submit(owned.thief, sha256(DATA))).status_code in NOT_HIS


@pytest.mark.parametrize("path", ["", "/parts"])
async def test_anothers_upload_is_not_there(owned: Owned, path: str) -> None:
    fresh = await _announced(owned.owner, a_bundle(uuid4().hex))
    answers = await asyncio.gather(*(who.get(f"/v1/uploads/{fresh}{path}") for who in (owned.thief, owned.owner)))
    assert [answer.status_code for answer in answers] == [404, 200]
    assert (await owned.thief.post(f"/v1/uploads/{fresh}/finish")).status_code == 404


async def test_anothers_pictures_are_not_there(owned: Owned) -> None:
    names, where = {"names": ["frames/1", "thumbnails/1"]}, f"/v1/jobs/{owned.job}"
    assert (await owned.thief.post(f"{where}/downloads", names)).status_code == 404
    for path in ("", "/frames", "/timeline", "/thumbnails/1", "/events"):
        assert (await owned.thief.get(f"{where}{path}")).status_code == 404, path
    assert (await owned.owner.get(where)).status_code == 200


async def test_a_signed_download_is_for_its_object_only(owned: Owned, world: World, stage: Stage) -> None:
    """Of one's own job; with its signature another's object is refused."""
    lender = await Lender.enrolled(world)
    other = a_bundle("of the thief")
    await _sent(owned.thief, await _announced(owned.thief, other), other)
    job = str((await _submit(owned.thief, sha256(other))).json()["id"])
    for of, bundle in ((job, sha256(other)), (owned.job, sha256(DATA))):
        grant = lender.grant(of, bundle)
        await lender.deliver(grant, {2: PICTURE})
        await world.hear(FramesStored, attempt=grant.attempt)
    urls = {}
    for of, who in ((job, owned.thief.id), (owned.job, owned.owner.id)):
        urls[of] = await _url(world, of, who)
    async with httpx.AsyncClient() as http:
        assert (await http.get(urls[job])).content == PICTURE
        assert (await http.get(urls[owned.job])).content == PICTURE
        crossed = urls[owned.job].split("?")[0] + "?" + urls[job].split("?")[1]
        assert (await http.get(crossed)).status_code == 403
        assert (await http.put(urls[job], content=b"x")).status_code == 403


async def _url(world: World, job: str, account: str) -> str:
    request = new_id()
    await world.say("intake", DownloadsRequested(request=request, job=job, account=account, names=("frames/2",)))
    granted = await world.hear(DownloadsGranted, request=request)
    return granted.downloads[0].url


async def test_a_webhook_hears_of_its_own_accounts_jobs_only(owned: Owned, world: World) -> None:
    """The address is told to the notifier with the account whose it is; no other account's fact carries it."""
    answer = await owned.thief.put("/v1/account/webhook", {"url": "https://thief.example/hook"})
    assert answer.status_code < 300, answer.text
    told = await until(lambda: world.said(WebhookSet), "the notifier is told")
    assert {one.account for one in told} == {owned.thief.id}
