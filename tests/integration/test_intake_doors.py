"""Who may not pass intake's door, and what senseless requests are told: always a problem document, never a 500."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts import events as e
from services.intake.http.door import application
from tests.integration.intake_stage import (  # noqa: F401
    Person,
    Stage,
    connection,
    the_renter,
    the_stage,
    the_stranger,
)
from tests.waiting import until

SOON = datetime.now(UTC) + timedelta(days=1)
PUBLIC = {
    "/v1/accounts", "/v1/account", "/v1/account/webhook", "/v1/account/key", "/v1/agents", "/v1/agents/codes",
    "/v1/agents/enrol", "/v1/earnings", "/v1/offers", "/v1/farm", "/v1/farm/orders",
}  # fmt: skip
"""Routes that name nobody's thing: each answers about the caller's own."""
BODIES: dict[str, dict[str, Any]] = {
    "/v1/jobs/{job}/quote/accept": {"version": 1},
    "/v1/jobs/{job}/quote/decline": {"version": 1},
    "/v1/jobs/{job}/changes": {"changes": ["one-view"]},
    "/v1/jobs/{job}/downloads": {"names": ["thumbnails/1"]},
    "/v1/accounts/{account}/credits": {"amount": "1"},
    "/v1/agents/{agent}/revoke": {},
    "/v1/agents/{agent}/orders": {"order": "drain"},
    "/v1/offers/{job}/accept": {},
    "/v1/jobs/{job}/skip": {"frames": "1"},
    "/v1/jobs/{job}/retry": {},
    "/v1/jobs/{job}": {"priority": 1},
}


def addressed_routes() -> list[tuple[str, str]]:
    """(method, path) of every route whose address names a thing, from the OpenAPI document itself: none can be forgotten."""
    paths = application(None).openapi()["paths"]
    return sorted((method.upper(), path) for path, methods in paths.items() if "{" in path for method in methods)


def problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document; asserts that it is one and complete."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert all(body[name] for name in ("type", "title", "detail", "next"))
    assert body["fault"] in ("request", "farm")
    assert code is None or body["type"] == f"urn:framelend:problem:{code}"
    return body


@pytest.mark.parametrize(("method", "path"), addressed_routes())
async def test_a_stranger_is_told_that_it_does_not_exist(
    stage: Stage, renter: Person, stranger: Person, method: str, path: str
) -> None:
    job, upload = await _things(stage, renter)
    address = path.format(job=job, upload=upload, frame=1, account=renter.id, agent=MACHINE)
    body, headers = BODIES.get(path), {"Idempotency-Key": uuid4().hex}
    answer = await stranger.http.request(method, address, json=body, headers=headers)
    nowhere = path.format(job="j-nowhere", upload="u-nowhere", frame=1, account="nobody", agent="a-nowhere")
    nothing = await stranger.http.request(method, nowhere, json=body, headers=headers)
    status = 403 if path.startswith("/v1/accounts/") else 404
    assert problem(answer, status) == problem(nothing, status), "what is another's looks like what is not there"
    assert not stage.world.said(e.JobControlled, job=job)
    assert not stage.world.said(e.QuoteAccepted, job=job)
    assert not stage.world.said(e.DownloadsRequested, job=job)
    assert not stage.world.said(e.RevocationRequested, agent=MACHINE)
    assert not stage.world.said(e.OfferAnswered, job=job)


@pytest.mark.parametrize(("method", "path"), addressed_routes())
async def test_nobody_passes_without_a_key(stage: Stage, renter: Person, method: str, path: str) -> None:
    job, upload = await _things(stage, renter)
    address = path.format(job=job, upload=upload, frame=1, account=renter.id, agent=MACHINE)
    async with httpx.AsyncClient(base_url=stage.intake.url) as nobody:
        answer = await nobody.request(method, address, json=BODIES.get(path), headers={"Idempotency-Key": "k"})
    problem(answer, 401, "no-key")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_the_owner_sees_the_very_things_strangers_do_not(stage: Stage, renter: Person) -> None:
    """The control of the two tests above: the addresses are right."""
    job, upload = await _things(stage, renter)
    for path in (
        f"/v1/jobs/{job}",
        f"/v1/jobs/{job}/frames",
        f"/v1/jobs/{job}/timeline",
        f"/v1/uploads/{upload}",
        f"/v1/offers/{job}",
    ):
        assert (await renter.get(path)).status_code == 200


MACHINE = "machine-of-rita"
_MADE: dict[str, tuple[str, str]] = {}


async def _things(stage: Stage, renter: Person) -> tuple[str, str]:
    """A job, an upload and a machine of the renter's, made once."""
    if renter.id not in _MADE:
        job = await stage.a_quoted_job(renter)
        asked = {"bytes": 5, "sha256": uuid4().hex * 2}
        await stage.world.say("scheduler", e.AgentEnrolled(agent=MACHINE, owner=renter.id, name="rita"))
        await stage.offers(renter, job, MACHINE)
        _MADE[renter.id] = job, (await renter.post("/v1/uploads", asked)).json()["id"]
    return _MADE[renter.id]


async def test_a_lender_sees_what_he_is_offered_and_answers_for_his_own_machines_until_it_is_withdrawn(
    stage: Stage, renter: Person
) -> None:
    job, lender = await stage.a_quoted_job(renter), await stage.a_person("lender")
    mine = f"laptop-of-{lender.id}"
    await stage.world.say("scheduler", e.AgentEnrolled(agent=mine, owner=lender.id, name="laptop"))

    async def is_known() -> bool:
        return mine in [one["id"] for one in (await lender.get("/v1/agents")).json()]

    await until(is_known, "his machine is known")
    await stage.offers(lender, job, mine)
    whole = (await lender.get(f"/v1/offers/{job}")).json()
    assert (whole["pays"], whole["price_per_wu"], whole["answer"], whole["picture"]) == ("1", "0.01", "none", False)
    assert (whole["blend"], whole["files"], whole["unpacked_bytes"]) == ("scene.blend", 1, 2000)
    problem(await lender.get(f"/v1/offers/{job}/picture"), 404, "no-picture")
    problem(await renter.post(f"/v1/offers/{job}/accept", {}), 404, "unknown-offer")
    await _things(stage, renter)
    problem(await lender.post(f"/v1/offers/{job}/accept", {"agents": [MACHINE]}), 404, "unknown-agent")
    assert not stage.world.said(e.OfferAnswered, job=job)
    yes = (await lender.post(f"/v1/offers/{job}/accept", {"agents": [mine]})).json()
    assert (yes["answer"], yes["accepted_for"]) == ("accepted", [mine])
    await lender.post(f"/v1/offers/{job}/accept", {"agents": [mine]})
    assert (await lender.post(f"/v1/offers/{job}/reject")).json()["answer"] == "rejected"
    no = await stage.world.hear(e.OfferAnswered, job=job, accepted=False)
    assert (no.owner, no.revision, no.agents) == (lender.id, 2, ())
    await stage.world.say("scheduler", e.OfferWithdrawn(owner=lender.id, job=job, revision=2, reason="cancelled"))

    async def is_gone() -> bool:
        return job not in [one["job"] for one in (await lender.get("/v1/offers")).json()]

    await until(is_gone, "the offer is gone from the list", 10)
    problem(await lender.post(f"/v1/offers/{job}/accept", {}), 409, "offer-withdrawn")


async def test_a_small_picture_is_shown_to_a_lender_by_its_address_and_asked_for_in_the_renters_name(
    stage: Stage, renter: Person
) -> None:
    job, lender = await stage.a_quoted_job(renter), await stage.a_person("lender")
    await stage.offers(lender, job, MACHINE, thumbnail=7)
    asking = asyncio.create_task(lender.get(f"/v1/offers/{job}/picture"))
    asked = await stage.world.hear(e.DownloadsRequested, job=job)
    assert (asked.account, asked.names) == (renter.id, ("thumbnails/7",))
    one = e.Download(name="thumbnails/7", url="http://store.example/7", bytes=3, sha256="a" * 64)
    answer = e.DownloadsGranted(request=asked.request, job=job, account=renter.id, downloads=(one,), seconds_valid=60)
    await stage.world.say("storage", answer)
    assert (await asking).json() == one.model_dump()


async def test_lists_hold_only_ones_own(stage: Stage, renter: Person, stranger: Person) -> None:
    await _things(stage, renter)
    assert (await stranger.get("/v1/jobs")).json() == []
    assert (await stranger.get("/v1/agents")).json() == []
    assert (await stranger.get("/v1/earnings")).json()["jobs"] == []


async def test_a_bundle_of_another_account_is_as_unknown_as_one_of_nobody(stage: Stage, renter: Person, stranger: Person) -> None:
    bundle = await stage.a_bundle(renter)
    asked = {"bundle": bundle, "price_per_wu": "1"}
    theirs = await stranger.post("/v1/jobs", asked, key="k1")
    nobodys = await stranger.post("/v1/jobs", {**asked, "bundle": "0" * 64}, key="k2")
    assert problem(theirs, 404, "unknown-bundle") == problem(nobodys, 404, "unknown-bundle")
    again = await stranger.post("/v1/uploads", {"bytes": 1000, "sha256": bundle})
    assert (again.status_code, again.json()["state"]) == (202, "requested"), "having it already is told of one's own bytes only"


async def test_a_bundle_that_is_not_verified_yet_is_no_bundle(renter: Person) -> None:
    sha256 = uuid4().hex * 2
    await renter.post("/v1/uploads", {"bytes": 5, "sha256": sha256})
    problem(await renter.post("/v1/jobs", {"bundle": sha256, "price_per_wu": "1"}, key="k"), 409, "bundle-not-stored")


ABSURD: list[tuple[dict[str, Any], str]] = [
    ({"frames": ""}, "empty-frames"),
    ({"frames": " , "}, "empty-frames"),
    ({"frames": []}, "empty-frames"),
    ({"frames": "10-1"}, "invalid-frames"),
    ({"frames": "1-9999999"}, "invalid-frames"),
    ({"frames": "1-1048574,1-1048574"}, "invalid-frames"),
    ({"frames": "one"}, "invalid-frames"),
    ({"frames": "1-10x0"}, "invalid-frames"),
    ({"frames": ",".join(str(n * 2) for n in range(2500))}, "invalid-frames"),
    ({"frames": [{"first": 5, "last": 1}]}, "invalid-frames"),
    ({"frames": {"first": 1}}, "invalid-request"),
    ({"price_per_wu": "0"}, "invalid-price-per-wu"),
    ({"price_per_wu": "0.0000"}, "invalid-price-per-wu"),
    ({"price_per_wu": "-1"}, "invalid-price-per-wu"),
    ({"price_per_wu": "NaN"}, "invalid-price-per-wu"),
    ({"price_per_wu": "1e3"}, "invalid-price-per-wu"),
    ({"price_per_wu": "0.0000001"}, "invalid-price-per-wu"),
    ({"price_per_wu": 1}, "invalid-request"),
    ({"max_cost": "0"}, "invalid-max-cost"),
    ({"max_cost": ""}, "invalid-max-cost"),
    ({"deadline": "2001-01-01T00:00:00Z"}, "deadline-over"),
    ({"deadline": "2099-01-01T00:00:00"}, "invalid-request"),
    ({"deadline": SOON.isoformat(), "start_at": (SOON + timedelta(days=1)).isoformat()}, "start-after-deadline"),
    ({"blend": "other.blend"}, "invalid-blend"),
    ({"settings": {"samples": 0}}, "invalid-request"),
    ({"settings": {"scripts": True}}, "invalid-request"),
    ({"unheard": 1}, "invalid-request"),
]


async def test_senseless_jobs_are_refused_with_the_reason_and_nothing_is_told(stage: Stage, renter: Person) -> None:
    bundle, before = await stage.a_bundle(renter), len(stage.world.said(e.JobSubmitted))
    for asked, code in ABSURD:
        body = {"bundle": bundle, "price_per_wu": "1", **asked}
        problem(await renter.post("/v1/jobs", body, key=uuid4().hex), 422, code)
    good = await renter.post("/v1/jobs", {"bundle": bundle, "price_per_wu": "1"}, key=uuid4().hex)
    await stage.world.hear(e.JobSubmitted, job=good.json()["id"])
    assert len(stage.world.said(e.JobSubmitted)) == before + 1


async def test_several_blends_must_be_chosen_from(stage: Stage, renter: Person) -> None:
    bundle = await stage.a_bundle(renter, ("a.blend", "b/c.blend"))
    asked = {"bundle": bundle, "price_per_wu": "1"}
    assert "b/c.blend" in problem(await renter.post("/v1/jobs", asked, key="x1"), 422, "invalid-blend")["detail"]
    chosen = await renter.post("/v1/jobs", {**asked, "blend": "b/c.blend"}, key="x2")
    assert chosen.json()["name"] == "c"


async def test_what_is_not_json_is_told_so(renter: Person) -> None:
    for body in (b"{", b"\xff\xfe", b'{"bytes": NaN'):
        answer = await renter.http.post("/v1/uploads", content=body, headers={"content-type": "application/json"})
        problem(answer, 400, "not-json")
    for odd in (b"[]", b'"x"', b"", b'{"bytes": 1}', b'{"bytes": 0, "sha256": "x"}', b'{"bytes": 99999999999999999999999999}'):
        answer = await renter.http.post("/v1/uploads", content=odd, headers={"content-type": "application/json"})
        problem(answer, 422)
    deep = await renter.http.post("/v1/uploads", content=b"[" * 100_000, headers={"content-type": "application/json"})
    assert deep.status_code in (400, 422)
    assert deep.headers["content-type"] == "application/problem+json"


async def test_bodies_are_bounded_also_when_their_length_is_not_told(renter: Person) -> None:
    problem(await renter.http.post("/v1/uploads", content=b" " * (2 << 20)), 413, "body-too-large")

    async def endless() -> Any:
        for _ in range(64):
            yield b" " * (1 << 16)

    problem(await renter.http.post("/v1/uploads", content=endless()), 413, "body-too-large")


async def test_what_costs_money_needs_an_idempotency_key(stage: Stage, renter: Person) -> None:
    job, _ = await _things(stage, renter)
    problem(await renter.post("/v1/jobs", {"bundle": "0" * 64, "price_per_wu": "1"}), 400, "idempotency-key-missing")
    problem(await renter.post(f"/v1/jobs/{job}/quote/accept", {"version": 1}), 400, "idempotency-key-missing")
    problem(await stage.operator.post(f"/v1/accounts/{renter.id}/credits", {"amount": "1"}), 400, "idempotency-key-missing")


async def test_addresses_and_methods_that_do_not_exist_are_problems_too(renter: Person) -> None:
    problem(await renter.get("/v1/nothing"), 404, "no-such-address")
    problem(await renter.http.delete("/v1/jobs"), 405, "no-such-method")
    problem(await renter.get("/v1/jobs", params={"limit": "many"}), 422, "invalid-request")
    problem(await renter.get("/v1/jobs/x/thumbnails/one"), 404, "unknown-job")


async def test_frames_are_kept_back_until_the_price_is_held_and_thumbnails_are_not(stage: Stage, renter: Person) -> None:
    job = await stage.a_quoted_job(renter)
    problem(await renter.post(f"/v1/jobs/{job}/downloads", {"names": ["frames/1"]}), 409, "not-paid")
    assert not stage.world.said(e.DownloadsRequested, job=job)
    assert not stage.world.said(e.RevocationRequested, agent=MACHINE)
    late = await renter.post(f"/v1/jobs/{job}/downloads", {"names": ["thumbnails/1"]}, params={"wait": 0})
    problem(late, 503, "no-addresses-yet")
    assert await stage.world.hear(e.DownloadsRequested, job=job, names=("thumbnails/1",))


async def test_guessing_keys_is_slowed_down_and_good_keys_go_on(stage: Stage, renter: Person) -> None:
    async with connection(stage.intake.url, "fl_wrong") as guesser:
        seen = [(await guesser.get("/v1/account")).status_code for _ in range(40)]
    assert set(seen) == {401, 429}
    assert (await renter.get("/v1/account")).status_code == 200


async def test_the_openapi_document_is_served_as_it_is_printed(renter: Person) -> None:
    served = (await renter.get("/openapi.json")).json()
    assert served == json.loads(json.dumps(application(None).openapi()))
    assert {path for path in served["paths"] if "{" not in path} == PUBLIC | {"/v1/uploads", "/v1/jobs"}
