"""Intake as its users meet it: the way of a job from account to download, and what repeating a request does."""

import asyncio
import base64
import hashlib
import hmac
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts import events as e
from contracts.topology import INTAKE, ROUTES
from contracts.values import FrameRange, PriceLine
from services.chassis.doorkeeper import Doorkeeper
from services.intake.handlers import routes
from services.intake.repository.memory import Memory
from tests.integration.intake_stage import (  # noqa: F401
    Person,
    Stage,
    a_quote,
    connection,
    inspected,
    progress,
    stored_frames,
    the_renter,
    the_stage,
)
from tests.waiting import until

HASH = hashlib.sha256(b"a bundle").hexdigest()


async def test_the_operator_opens_an_account_whose_key_works_and_is_kept_only_as_a_hash(stage: Stage) -> None:
    person = await stage.a_person("renter", "lender")
    mine = (await person.get("/v1/account")).json()
    assert mine["id"] == person.id
    assert mine["roles"] == ["renter", "lender"]
    kept = await stage.world.database("intake")["accounts"].find_one({"_id": person.id})
    assert kept["key_hashes"] == [hashlib.sha256(person.key.encode()).hexdigest()]
    assert person.key not in str(kept)
    opened = await stage.world.hear(e.AccountOpened, account=person.id)
    assert opened.email == "rita@example.org"


async def test_a_new_key_ends_the_older_one_and_the_operators_is_a_setting(stage: Stage) -> None:
    person = await stage.a_person("renter")
    fresh = (await person.post("/v1/account/key")).json()["key"]
    assert (await person.get("/v1/account")).status_code == 401
    async with connection(stage.intake.url, fresh) as again:
        assert (await again.get("/v1/account")).json()["id"] == person.id
        reset = (await stage.operator.post(f"/v1/accounts/{person.id}/key")).json()["key"]
        assert (await again.get("/v1/account")).status_code == 401
    async with connection(stage.intake.url, reset) as third:
        assert (await third.get("/v1/account")).status_code == 200
    assert (await stage.operator.post("/v1/account/key")).status_code == 409
    assert (await stage.operator.post("/v1/accounts/nobody/key")).status_code == 404


async def test_only_the_operator_opens_accounts_and_issues_credits(stage: Stage, renter: Person) -> None:
    body = {"name": "Eve", "email": "eve@example.org", "roles": ["operator"]}
    assert (await renter.post("/v1/accounts", body)).status_code == 403
    assert (await renter.get("/v1/accounts")).status_code == 403
    answer = await renter.post(f"/v1/accounts/{renter.id}/credits", {"amount": "1000"}, key="k")
    assert answer.status_code == 403
    assert not stage.world.said(e.CreditsOrdered, account=renter.id)


async def test_credits_are_ordered_once_however_often_they_are_asked_for(stage: Stage) -> None:
    person = await stage.a_person("renter")
    path = f"/v1/accounts/{person.id}/credits"
    first = await stage.operator.post(path, {"amount": "12.5"}, key="order-1")
    again = await stage.operator.post(path, {"amount": "12.5"}, key="order-1")
    other = await stage.operator.post(path, {"amount": "13"}, key="order-1")
    assert first.json() == again.json()
    assert (first.status_code, other.status_code) == (202, 422)
    assert other.json()["type"].endswith("idempotency-key-reused")
    ordered = await stage.world.hear(e.CreditsOrdered, account=person.id)
    assert ordered.amount_micro == 12_500_000
    assert len(stage.world.said(e.CreditsOrdered, account=person.id)) == 1


async def test_balances_are_billings_latest_word_in_any_order(stage: Stage) -> None:
    person = await stage.a_person("renter")
    facts = [_balance(person.id, revision) for revision in (1, 3, 2, 3)]
    await stage.world.say("billing", *facts)

    async def shown() -> bool:
        return bool((await person.get("/v1/account")).json()["balances"]["available"] == "3")

    await until(shown, "the third balance is shown")
    await stage.world.say("billing", _balance(person.id, 1))
    assert (await person.get("/v1/account")).json()["balances"]["held"] == "0.25"


def _balance(account: str, revision: int) -> e.BalanceChanged:
    return e.BalanceChanged(
        account=account,
        revision=revision,
        available_micro=revision * 1_000_000,
        held_micro=250_000,
        pending_micro=0,
        payable_micro=0,
    )


async def test_a_webhook_is_told_once_and_its_secret_follows_from_the_account(stage: Stage, renter: Person) -> None:
    first = (await renter.put("/v1/account/webhook", {"url": "https://hooks.example/x"})).json()
    again = (await renter.put("/v1/account/webhook", {"url": "https://hooks.example/x"})).json()
    key = bytes.fromhex(stage.world.farm["FARM_WEBHOOK_KEY"])
    expected = base64.b64encode(hmac.new(key, renter.id.encode(), hashlib.sha256).digest()).decode()
    assert first == again == {"url": "https://hooks.example/x", "secret": f"whsec_{expected}"}
    await stage.world.hear(e.WebhookSet, account=renter.id, revision=1)
    assert (await renter.put("/v1/account/webhook", {"url": "ftp://x"})).status_code == 422
    assert len(stage.world.said(e.WebhookSet, account=renter.id)) == 1


async def test_an_upload_goes_from_request_to_stored_by_long_polls(stage: Stage, renter: Person) -> None:
    asked = {"bytes": 20_000_000, "sha256": HASH}
    first, again = await renter.post("/v1/uploads", asked), await renter.post("/v1/uploads", asked)
    upload = first.json()["id"]
    assert (first.status_code, again.json()["id"]) == (202, upload)
    await stage.world.hear(e.UploadRequested, upload=upload, bytes=20_000_000)
    await _grants_parts(stage, renter, upload)
    await renter.post(f"/v1/uploads/{upload}/finish")
    await renter.post(f"/v1/uploads/{upload}/finish")
    await stage.world.hear(e.UploadFinished, upload=upload)
    stored = e.BundleStored(
        upload=upload, account=renter.id, bundle=HASH, bytes=20_000_000, unpacked_bytes=1, files=1, blends=("a.blend",)
    )
    await stage.world.say("storage", stored, stored)
    found = (await renter.get(f"/v1/uploads/{upload}", params={"wait": 20})).json()
    assert (found["state"], found["blends"]) == ("stored", ["a.blend"])
    assert (await renter.post("/v1/uploads", asked)).status_code == 200
    assert len(stage.world.said(e.UploadFinished, upload=upload)) == 1
    assert len(stage.world.said(e.UploadRequested, upload=upload)) == 1


async def _grants_parts(stage: Stage, renter: Person, upload: str) -> None:
    polling = renter.get(f"/v1/uploads/{upload}/parts", params={"page": 0, "wait": 20})
    poll = asyncio.create_task(polling)
    await stage.world.hear(e.PartsRequested, upload=upload, page=0)
    part = e.PartUrl(number=1, url="http://store.example/part-1")
    granted = e.PartsGranted(
        upload=upload, account=renter.id, page=0, part_bytes=1 << 24, parts_total=2, parts=(part,), seconds_valid=900
    )
    await stage.world.say("storage", granted)
    answer = (await poll).json()
    assert answer["parts"] == [{"number": 1, "url": "http://store.example/part-1"}]
    assert answer["parts_total"] == 2
    assert (await renter.get(f"/v1/uploads/{upload}")).json()["state"] == "granted"


async def test_bytes_the_farm_still_has_are_not_asked_for_again(stage: Stage, renter: Person) -> None:
    """Long after, storage is asked anew, and its word that it has them ends the wait for part addresses."""
    bundle = await stage.a_bundle(renter)
    long_ago = datetime.now(UTC) - timedelta(days=6)
    await stage.world.database("intake")["uploads"].update_one({"sha256": bundle}, {"$set": {"stored_at": long_ago}})
    asked = {"bundle": bundle, "price_per_wu": "1"}
    assert (await renter.post("/v1/jobs", asked, key="old")).json()["type"].endswith("bundle-too-old")
    upload = (await renter.post("/v1/uploads", {"bytes": 1000, "sha256": bundle})).json()
    assert upload["state"] == "requested"
    waiting = asyncio.create_task(renter.get(f"/v1/uploads/{upload['id']}/parts", params={"wait": 20}))
    await stage.world.hear(e.UploadRequested, upload=upload["id"])
    there = e.BundleStored(
        upload=upload["id"], account=renter.id, bundle=bundle, bytes=1000, unpacked_bytes=1, files=1, blends=("a.blend",)
    )
    await stage.world.say("storage", there)
    assert (await waiting).json()["type"].endswith("upload-over")
    assert (await renter.post("/v1/jobs", asked, key="old")).status_code == 202


async def test_a_rejected_upload_says_why_and_may_be_tried_again_as_a_new_one(stage: Stage, renter: Person) -> None:
    asked = {"bytes": 10, "sha256": hashlib.sha256(b"a lie").hexdigest()}
    upload = (await renter.post("/v1/uploads", asked)).json()["id"]
    no = e.BundleRejected(upload=upload, account=renter.id, code="wrong_hash", text="It is not what you said. Upload it again.")
    await stage.world.say("storage", no)
    found = (await renter.get(f"/v1/uploads/{upload}", params={"wait": 20})).json()
    assert (found["state"], found["code"]) == ("rejected", "wrong_hash")
    assert (await renter.post(f"/v1/uploads/{upload}/finish")).status_code == 409
    assert (await renter.get(f"/v1/uploads/{upload}/parts")).status_code == 409
    assert (await renter.post("/v1/uploads", asked)).json()["id"] != upload


async def test_a_job_is_submitted_once_under_one_key(stage: Stage, renter: Person) -> None:
    body = {"bundle": await stage.a_bundle(renter), "frames": "1-48,60,100-200x2", "price_per_wu": "0.05", "max_cost": "20"}
    key = uuid4().hex
    first, again = await renter.post("/v1/jobs", body, key=key), await renter.post("/v1/jobs", body, key=key)
    other = await renter.post("/v1/jobs", {**body, "price_per_wu": "0.06"}, key=key)
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    job = first.json()["id"]
    assert again.json()["id"] == job
    told = await stage.world.hear(e.JobSubmitted, job=job)
    assert told.frames == (FrameRange(first=1, last=48), FrameRange(first=60, last=60), FrameRange(first=100, last=200, step=2))
    assert (told.price_per_wu_micro, told.limits.max_cost, told.blend) == (50_000, 20_000_000, "scene.blend")
    assert len(stage.world.said(e.JobSubmitted, job=job)) == 1
    listed = (await renter.get("/v1/jobs")).json()
    assert job in [one["id"] for one in listed]


async def test_a_quote_is_accepted_once_and_again_only_after_the_money_was_refused(stage: Stage, renter: Person) -> None:
    job = await stage.a_quoted_job(renter)
    path, body = f"/v1/jobs/{job}/quote/accept", {"version": 1}
    assert (await renter.post(path, body, key="a")).status_code == 202
    assert (await renter.post(path, body, key="b")).status_code == 202
    refused = e.HoldRefused(job=job, account=renter.id, version=1, needed_micro=9, available_micro=1, text="Top up.")
    await stage.world.say("billing", refused)
    await stage.seen(renter, job, lambda view: view["refusal"] is not None and view["quote"]["open"], "the refusal is seen")
    assert (await renter.post(path, body, key="a")).status_code == 202
    assert len(stage.world.said(e.QuoteAccepted, job=job)) == 1
    assert (await renter.post(path, body, key="c")).status_code == 202
    await until(lambda: len(stage.world.said(e.QuoteAccepted, job=job)) == 2, "the second acceptance is told")
    assert (await renter.post(f"/v1/jobs/{job}/quote/decline", body, key="d")).status_code == 202
    assert (await renter.post(path, body, key="e")).json()["type"].endswith("quote-declined")


@pytest.mark.parametrize("version", [2, 7])
async def test_an_answer_to_another_version_is_refused(stage: Stage, renter: Person, version: int) -> None:
    job = await stage.a_quoted_job(renter)
    answer = await renter.post(f"/v1/jobs/{job}/quote/accept", {"version": version}, key="k")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:framelend:problem:another-quote")


async def test_an_expired_quote_cannot_be_accepted(stage: Stage, renter: Person) -> None:
    job = await stage.a_job(renter)
    await stage.world.say("billing", a_quote(job, renter.id, hours=-1))
    await stage.seen(renter, job, lambda view: view["quote"] is not None, "the quote is seen")
    answer = await renter.post(f"/v1/jobs/{job}/quote/accept", {"version": 1}, key="k")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:framelend:problem:quote-expired")


async def test_steering_is_counted_and_told_once_each_time(stage: Stage, renter: Person) -> None:
    job = await stage.a_held_job(renter)
    for action in ("pause", "pause", "resume", "cancel", "cancel"):
        assert (await renter.post(f"/v1/jobs/{job}/{action}")).status_code == 202
    assert (await renter.post(f"/v1/jobs/{job}/pause")).status_code == 409
    await stage.world.hear(e.JobControlled, job=job, revision=3)
    told = sorted((fact.revision, fact.action) for fact in stage.world.said(e.JobControlled, job=job))
    assert told == [(1, "pause"), (2, "resume"), (3, "cancel")]


async def test_a_job_is_followed_to_its_end_and_downloaded(stage: Stage, renter: Person) -> None:
    job = await stage.a_held_job(renter)
    await _rendered(stage, renter, job)
    view = await stage.seen(renter, job, lambda one: one["settlement"] is not None and one["files"], "the end is seen")
    assert (view["state"], view["stored"], view["total"], view["charged"]) == ("completed", 10, 10, "1.2")
    assert [one["name"] for one in view["files"]] == ["frames.zip"]
    told = {"job.submitted", "job.quoted", "quote.accepted", "frames.stored", "job.settled"}

    async def story() -> list[Any]:
        lines: list[Any] = (await renter.get(f"/v1/jobs/{job}/timeline")).json()
        return lines if told <= {one["kind"] for one in lines} else []

    lines = await until(story, "the whole story is told")
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    asking = asyncio.create_task(renter.post(f"/v1/jobs/{job}/downloads", {"names": ["frames/1", "frames.zip", "nothing"]}))
    asked = await stage.world.hear(e.DownloadsRequested, job=job)
    found = tuple(e.Download(name=name, url=f"http://s/{name}", bytes=1, sha256=HASH) for name in ("frames/1", "frames.zip"))
    await stage.world.say(
        "storage", e.DownloadsGranted(request=asked.request, job=job, account=renter.id, downloads=found, seconds_valid=600)
    )
    answer = (await asking).json()
    assert [one["name"] for one in answer["downloads"]] == ["frames/1", "frames.zip"]
    assert answer["missing"] == ["nothing"]


async def _rendered(stage: Stage, renter: Person, job: str) -> None:
    say, who = stage.world.say, renter.id
    await say(
        "scheduler",
        inspected(job, who),
        progress(job, who, 3),
        e.JobStateChanged(job=job, account=who, state="completed", revision=9),
    )
    await say("storage", stored_frames(job, *range(1, 8)), stored_frames(job, 8, 9, 10))
    await say(
        "storage", e.FramesSealed(job=job, account=who, outcome="completed", frames=(FrameRange(first=1, last=10),), count=10)
    )
    file = e.PackagedFile(name="frames.zip", key="k", bytes=10, sha256=HASH)
    quote = a_quote(job, who)
    await say("storage", e.JobPackaged(job=job, account=who, files=(file,), until=quote.expires_at))
    line = PriceLine(code="frames", text="frames", amount_micro=1_200_000)
    settled = e.JobSettled(
        job=job, account=who, outcome="completed", held_micro=1_500_000, charged_micro=1_200_000, released_micro=300_000,
        lines=(line,), frames=(FrameRange(first=1, last=10),),
    )  # fmt: skip
    await say("billing", settled)


def test_intake_takes_exactly_what_the_routes_send_it() -> None:
    nothing = Memory(*[None] * len(fields(Memory)))  # type: ignore[arg-type]  # only the subscriptions are looked at
    assert routes(nothing, Doorkeeper(INTAKE)).taken == {row.event for row in ROUTES if INTAKE in row.subscribers}
