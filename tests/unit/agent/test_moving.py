"""Bundles in, pictures out, over a store that answers as it likes."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from agent.bundle import BundleCache
from agent.settings import UnusableCredential, read_credential
from agent.uploads import Uploader
from tests.unit.agent.builders import an_upload

HASH = "c" * 64


def a_store(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def _bytes(body: bytes) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(body))


def _away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def an_archive(path: Path, size: int) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scene.blend", bytes(size))
    path.write_bytes(packed.getvalue())
    return path


async def test_the_cache_drops_what_was_used_longest_ago_and_never_what_is_in_use(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path / "cache", most_bytes=2_500, keep_free_bytes=0)
    archive = an_archive(tmp_path / "a.zip", 1_000)
    first, second, third, fourth = (letter * 64 for letter in "abcd")
    await cache.add(first, archive)
    await cache.add(second, archive)
    with cache.used(first):
        await cache.add(third, archive)
        assert cache.find(first) is not None
        assert cache.find(second) is None
    await cache.add(fourth, archive)
    assert cache.find(fourth) is not None
    assert len(cache.names(10)) == 2


async def test_a_bundle_that_does_not_unpack_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path / "cache", most_bytes=500, keep_free_bytes=0)
    with pytest.raises(Exception, match="no room"):
        await cache.add(HASH, an_archive(tmp_path / "a.zip", 1_000))
    assert cache.find(HASH) is None
    assert list((tmp_path / "cache").iterdir()) == []


async def test_what_its_owner_keeps_free_of_the_disk_is_not_unpacked_into(tmp_path: Path) -> None:
    archive, free = an_archive(tmp_path / "a.zip", 1_000_000), shutil.disk_usage(tmp_path).free
    generous = BundleCache(tmp_path / "cache", most_bytes=1 << 40, keep_free_bytes=free * 2)
    with pytest.raises(OSError, match="no room"):
        await generous.add(HASH, archive)
    assert list((tmp_path / "cache").iterdir()) == []
    assert await BundleCache(tmp_path / "cache", most_bytes=1 << 40, keep_free_bytes=free // 2).add(HASH, archive)


def test_what_a_crash_left_half_unpacked_is_removed(tmp_path: Path) -> None:
    (tmp_path / f".new-{HASH}" / "files").mkdir(parents=True)
    cache = BundleCache(tmp_path, most_bytes=500, keep_free_bytes=0)
    assert list(tmp_path.iterdir()) == []
    assert cache.find(HASH) is None


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "000001.png"
    path.write_bytes(b"p" * 100)
    return path


async def test_a_picture_is_sent_with_its_exact_length_and_type(picture: Path) -> None:
    seen: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        await request.aread()
        seen.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        assert await Uploader(http).put(picture, an_upload(1), 60.0)
    (request,) = seen
    assert (request.method, request.headers["content-length"], request.headers["content-type"]) == ("PUT", "100", "image/png")
    assert request.content == b"p" * 100
    assert "transfer-encoding" not in request.headers


async def test_a_store_that_hiccups_is_tried_again_with_the_same_picture(picture: Path) -> None:
    answers = [httpx.Response(503), httpx.Response(500), httpx.Response(200)]
    async with a_store(lambda _: answers.pop(0)) as http:
        assert await Uploader(http).put(picture, an_upload(1), 60.0)
    assert answers == []


@pytest.mark.parametrize("status", [400, 403, 404, 411])
async def test_a_url_that_is_refused_is_given_up_at_once(picture: Path, status: int) -> None:
    answers = [httpx.Response(status), httpx.Response(200)]
    async with a_store(lambda _: answers.pop(0)) as http:
        assert not await Uploader(http).put(picture, an_upload(1), 60.0)
    assert len(answers) == 1


async def test_a_url_that_has_run_out_is_not_used(picture: Path) -> None:
    async with a_store(lambda _: pytest.fail("it was used")) as http:
        assert not await Uploader(http).put(picture, an_upload(1), 0.0)


def a_credential(path: Path, body: str, mode: int = 0o600) -> Path:
    path.write_text(body)
    path.chmod(mode)
    return path


GOOD = json.dumps({"agent": "agent-1", "amqp_url": "amqp://agent-1:secret@127.0.0.1/farm"})


def test_a_credential_is_read_and_its_secret_is_not_shown(tmp_path: Path) -> None:
    credential = read_credential(a_credential(tmp_path / "agent.json", GOOD))
    assert credential.agent == "agent-1"
    assert "secret@" not in repr(credential)


@pytest.mark.parametrize(("body", "mode"), [(GOOD, 0o644), ("{}", 0o600), ("no json", 0o600)])
def test_a_credential_that_will_not_do_is_refused_without_repeating_it(tmp_path: Path, body: str, mode: int) -> None:
    with pytest.raises(UnusableCredential) as said:
        read_credential(a_credential(tmp_path / "agent.json", body, mode))
    assert "secret@" not in str(said.value)
