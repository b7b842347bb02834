"""A signed URL is for one object, one method, one length, one type, for a while: every other use of it is refused.

The last test turns each binding off: with a URL that lacks it the same attempt succeeds.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest

from contracts.events import FramesRejected, FramesStored
from services.storage.app import Settings
from services.storage.bucket import Address, Bucket
from services.storage.domain.frame import staged_key
from tests.integration.storage.players import Lender
from tests.integration.world import World
from tests.pictures import a_png, sha256
from tests.security.objects.conftest import OpenJob
from tests.security.objects.depot import PNG, Depot, put
from tests.waiting import until

REFUSED = frozenset({400, 403, 404, 405, 411, 501})
PICTURE = a_png(shade=7)
OTHER = PICTURE[:-30] + bytes(30)
"""As long, and no picture."""


def _other_path(path: str) -> Callable[[str], str]:
    """The same signature on another object of the bucket."""
    return lambda url: re.sub(r"(https?://[^/]+/[^/]+)/[^?]*", rf"\g<1>/{path}", url)


def _query(name: str, value: str) -> Callable[[str], str]:
    return lambda url: re.sub(rf"{name}=[^&]*", f"{name}={quote(value, safe='')}", url)


def _more(words: str) -> Callable[[str], str]:
    return lambda url: f"{url}&{words}"


TURNED: dict[str, Callable[[str], str]] = {
    "the next frame": lambda url: url.replace("/1-", "/2-"),
    "another attempt": _other_path("staged/attempt-else/1-" + "a" * 64),
    "where accepted frames lie": _other_path("frames/job-1/1-" + "a" * 64),
    "where bundles lie": _other_path("bundles/account-1/" + "b" * 64),
    "another renter's upload": _other_path("incoming/upload-1"),
    "another bucket": lambda url: re.sub(r"(https?://[^/]+)/[^/]+/", r"\g<1>/framelend/", url),
    "above the bucket": _other_path("../framelend/x"),
    "good for a week": _query("X-Amz-Expires", "604800"),
    "signed tomorrow": _query("X-Amz-Date", "20991231T000000Z"),
    "fewer headers signed": _query("X-Amz-SignedHeaders", "host"),
    "another signature": _query("X-Amz-Signature", "0" * 64),
    "a part of an upload in parts": _more("partNumber=1&uploadId=1"),
    "the access list": _more("acl"),
    "without any signature": lambda url: url.split("?")[0],
}
SENT: dict[str, tuple[bytes, str | None]] = {
    "a byte more": (PICTURE + b"x", PNG),
    "a byte less": (PICTURE[:-1], PNG),
    "nothing": (b"", PNG),
    "much more": (PICTURE * 100, PNG),
    "a page": (PICTURE, "text/html"),
    "no type": (PICTURE, None),
    "a type with words": (PICTURE, "image/png; charset=utf-8"),
}
METHODS = ("GET", "HEAD", "DELETE", "POST", "PATCH")


async def _room(lender: Lender, job: OpenJob) -> tuple[str, str]:
    """A URL, and the key of its object."""
    grant = lender.grant(job.id, job.bundle)
    room = (await lender.room(grant, {1: PICTURE}))[1]
    return room.url, staged_key(grant.attempt, 1, sha256(PICTURE))


async def test_the_url_puts_exactly_what_was_told(lender: Lender, job: OpenJob, depot: Depot) -> None:
    url, key = await _room(lender, job)
    assert await put(url, PICTURE) == 200
    assert depot.body(key) == PICTURE


async def test_on_any_other_object_or_with_other_words_the_signature_is_worth_nothing(
    lender: Lender, job: OpenJob, depot: Depot
) -> None:
    url, key = await _room(lender, job)
    before = set(depot.keys(""))
    answers = {name: await put(turn(url), PICTURE) for name, turn in TURNED.items()}
    assert {name: status for name, status in answers.items() if status not in REFUSED} == {}
    assert set(depot.keys("")) == before
    assert await put(url, PICTURE) == 200
    assert depot.body(key) == PICTURE


async def test_no_other_length_and_no_other_type_gets_in(lender: Lender, job: OpenJob, depot: Depot) -> None:
    url, key = await _room(lender, job)
    answers = {name: await put(url, body, kind) for name, (body, kind) in SENT.items()}
    assert {name: status for name, status in answers.items() if status not in REFUSED} == {}
    assert await _in_pieces(url) in REFUSED, "a length that is not told is none"
    assert depot.body(key) is None


async def _in_pieces(url: str) -> int:
    async def pieces() -> object:
        yield PICTURE

    async with httpx.AsyncClient() as http:
        return (await http.put(url, content=pieces(), headers={"content-type": PNG})).status_code  # type: ignore[arg-type]


async def test_no_other_method_is_allowed(lender: Lender, job: OpenJob, depot: Depot) -> None:
    url, key = await _room(lender, job)
    assert await put(url, PICTURE) == 200
    answers = {method: await put(url, b"", method=method) for method in METHODS}
    assert {method: status for method, status in answers.items() if status not in REFUSED} == {}
    assert depot.body(key) == PICTURE


async def test_naming_another_object_to_copy_from_brings_nothing_of_it(lender: Lender, job: OpenJob, depot: Depot) -> None:
    """A store may copy on its own side when a header says so. What it would copy is neither shown to the agent nor kept."""
    secret = f"bundles/{job.renter.account}"
    (source,) = depot.keys(secret)
    grant = lender.grant(job.id, job.bundle)
    room = (await lender.room(grant, {1: PICTURE}))[1]
    await put(room, PICTURE, **{"x-amz-copy-source": f"/{depot.bucket}/{source}"})
    assert await put(room, b"", method="GET") in REFUSED
    await lender.complete(grant, {1: PICTURE})
    stored = await _stored_or_not(lender.world, grant.attempt)
    assert stored in (None, sha256(PICTURE))


async def _stored_or_not(world: World, attempt: str) -> str | None:
    def judged() -> bool:
        return bool(world.said(FramesStored, attempt=attempt) or world.said(FramesRejected, attempt=attempt))

    await until(judged, "a verdict")
    return next((one.file_sha256 for fact in world.said(FramesStored, attempt=attempt) for one in fact.frames), None)


async def _is_refused(url: str) -> bool:
    return await put(url, PICTURE) in REFUSED


@pytest.mark.parametrize("binding", ["length", "type"])
async def test_without_its_binding_the_same_attempt_succeeds(depot: Depot, binding: str) -> None:
    body, kind = SENT["a byte more" if binding == "length" else "a page"]
    key = f"control/{binding}"
    assert await put(depot.unbound(key), body, kind) == 200
    assert depot.body(key) == body


async def test_an_old_url_overwrites_nothing_that_was_accepted(lender: Lender, job: OpenJob, depot: Depot) -> None:
    grant = lender.grant(job.id, job.bundle)
    room = (await lender.room(grant, {3: PICTURE}))[3]
    assert await put(room, PICTURE) == 200
    await lender.complete(grant, {3: PICTURE})
    await lender.world.hear(FramesStored, attempt=grant.attempt)
    staged = staged_key(grant.attempt, 3, sha256(PICTURE))
    await until(lambda: depot.body(staged) is None, "what was staged is gone")
    assert await put(room, OTHER) == 200, "the URL itself is good for its time"
    assert depot.body(staged) == OTHER, "it can write, but where nobody reads any more"
    await lender.complete(grant, {3: PICTURE})
    after = lender.grant(job.id, job.bundle)
    await lender.deliver(after, {4: PICTURE})
    await lender.world.hear(FramesStored, attempt=after.attempt)
    async with httpx.AsyncClient() as http:
        found = (await job.renter.downloads(job.id, "frames/3"))["frames/3"]
        assert (await http.get(found.url)).content == PICTURE
    assert len(lender.world.said(FramesStored, attempt=grant.attempt)) == 1


async def test_a_url_is_good_for_a_quarter_of_an_hour_at_most_and_another_is_given_when_asked_for(
    lender: Lender, job: OpenJob
) -> None:
    grant = lender.grant(job.id, job.bundle)
    first = (await lender.room(grant, {5: PICTURE}))[5].url
    lender.box.clear()
    second = (await lender.room(grant, {5: PICTURE}))[5].url
    for url in (first, second):
        assert "X-Amz-Expires=900&" in url
        assert await put(url, PICTURE) == 200
    assert Settings.model_fields["url_seconds"].metadata[-1].le == 900, "no setting makes it longer"


async def test_a_url_whose_time_is_over_is_refused(world: World, depot: Depot) -> None:
    """As storage makes them, but for two seconds."""
    farm = world.farm
    keys = (farm["FARM_S3_ACCESS_KEY"], farm["FARM_S3_SECRET_KEY"])
    brief = Bucket(Address(farm.http("S3"), farm.http("S3"), *keys, depot.bucket, url_seconds=2))
    await brief.open()
    url = await brief.url_to_put("control/brief", len(PICTURE), PNG)
    assert await put(url, PICTURE) == 200
    await until(lambda: _is_refused(url), "its time is over", 20)
    await brief.close()
