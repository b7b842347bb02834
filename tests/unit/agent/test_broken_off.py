"""What an attempt's end breaks off the next one goes on with; what nobody goes on with is kept within bounds."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import httpx
import pytest

from agent.bundle import BundleCache
from agent.downloading import BLOCK, Download, TamperedBundle
from agent.fetching import Fetch
from contracts.bus import Announcer
from contracts.events import BundleGranted
from tests.unit.agent.builders import a_grant, an_assignment
from tests.unit.agent.test_keeping import a_place
from tests.unit.agent.test_moving import an_archive
from tests.waiting import until


class Store:
    """Sends a bundle from where it is asked to; `breaks_at`: there it says nothing more."""

    def __init__(self, body: bytes) -> None:
        self.body, self.breaks_at, self.sent = body, len(body), 0
        self.silence = asyncio.Event()
        self.is_silent = False

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        begin = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        return httpx.Response(206 if begin else 200, stream=_Stream(self, begin))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, store: Store, begin: int) -> None:
        self._store, self._begin = store, begin

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._store.body[self._begin : self._store.breaks_at]
        self._store.sent += self._store.breaks_at - self._begin
        if self._store.breaks_at < len(self._store.body):
            self._store.is_silent = True
            await self._store.silence.wait()


def a_fetch(home: Path, store: Store, http: httpx.AsyncClient, most_bytes: int = 1 << 40) -> Fetch:
    """Of the next attempt on the same disk."""
    sha256 = hashlib.sha256(store.body).hexdigest()
    assignment = an_assignment(grant=a_grant(1, bundle=sha256), bundle_bytes=len(store.body))
    place = a_place(home, http)
    place.cache = BundleCache(place.folders.cache, most_bytes, 0)
    place.announcer = cast(Announcer, _Deaf())
    fetch = Fetch(place, assignment, {}, lambda _: None)
    granted = BundleGranted(
        agent="agent-1", job="job", attempt="a", bundle=sha256, bytes=len(store.body), url="http://store/b", seconds_valid=60
    )
    fetch.granted.put_nowait(granted)
    return fetch


class _Deaf:
    """A broker that takes everything; the answers lie there already."""

    async def announce(self, _: object) -> None:
        pass


def a_body(tmp_path: Path) -> bytes:
    return an_archive(tmp_path / "a.zip", 3 * BLOCK).read_bytes()


def archives(home: Path) -> list[int]:
    return sorted(path.stat().st_size for path in (home / "cache").glob(".archive-*"))


async def broken_off(home: Path, store: Store, at: int, most_bytes: int = 1 << 40) -> None:
    """An attempt that ends when so many bytes have come."""
    store.breaks_at, store.is_silent = at, False
    async with store.client() as http:
        task = asyncio.create_task(a_fetch(home, store, http, most_bytes).run())
        await until(lambda: store.is_silent, "the line is silent", 10)
        task.cancel()
        await asyncio.wait([task])
    store.breaks_at = len(store.body)


async def test_what_an_attempt_had_when_it_ended_is_not_asked_for_again(tmp_path: Path) -> None:
    store = Store(a_body(tmp_path))
    for at in (BLOCK, 2 * BLOCK):
        await broken_off(tmp_path / "agent", store, at)
        assert archives(tmp_path / "agent") == [at]
    async with store.client() as http:
        await a_fetch(tmp_path / "agent", store, http).run()
    assert store.sent == len(store.body)
    assert archives(tmp_path / "agent") == []
    assert len(list((tmp_path / "agent" / "cache").glob("[0-9a-f]*/files/scene.blend"))) == 1


async def test_one_download_that_was_broken_off_is_kept_and_none_beyond_what_the_cache_may_take(tmp_path: Path) -> None:
    first, second = Store(a_body(tmp_path)), Store(a_body(tmp_path) + b"comment")
    await broken_off(tmp_path / "agent", first, BLOCK)
    await broken_off(tmp_path / "agent", second, 2 * BLOCK)
    assert archives(tmp_path / "agent") == [2 * BLOCK]
    await broken_off(tmp_path / "agent", first, BLOCK, most_bytes=BLOCK - 1)
    assert archives(tmp_path / "agent") == []


async def test_what_was_broken_off_makes_room_for_a_bundle_that_is_wanted_now(tmp_path: Path) -> None:
    await broken_off(tmp_path / "agent", Store(a_body(tmp_path)), BLOCK)
    cache = BundleCache(tmp_path / "agent" / "cache", 1 << 40, 0)
    assert cache.spare_bytes() == BLOCK
    await cache.make_room(1)
    assert archives(tmp_path / "agent") == [BLOCK], "there is room"
    (name,) = (path.name.removeprefix(".archive-") for path in (tmp_path / "agent" / "cache").glob(".archive-*"))
    async with cache.turn(name):
        await cache.make_room(1 << 60)
    assert archives(tmp_path / "agent") == [BLOCK], "it is being gone on with"
    await cache.make_room(1 << 60)
    assert archives(tmp_path / "agent") == []


class SlowDisk(BundleCache):
    """Nothing is unpacked before it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1 << 40, 0)
        self.asked, self.let = threading.Event(), threading.Event()

    def _unpack(self, sha256: str, archive: Path) -> None:
        self.asked.set()
        self.let.wait(30)
        super()._unpack(sha256, archive)


async def test_an_attempt_that_ends_while_its_bundle_is_unpacked_leaves_the_scene_without_its_archive(tmp_path: Path) -> None:
    home, store = tmp_path / "agent", Store(a_body(tmp_path))
    async with store.client() as http:
        fetch, cache = a_fetch(home, store, http), SlowDisk(home / "cache")
        fetch._place.cache = cache
        task = asyncio.create_task(fetch.run())
        await until(cache.asked.is_set, "it is being unpacked", 10)
        task.cancel()
        await asyncio.wait([task])
        assert archives(home) == [len(store.body)], "the next attempt may need it"
        cache.let.set()
        await until(lambda: any((home / "cache").glob("[0-9a-f]*/files")), "the scene is there all the same", 10)
        await until(lambda: archives(home) == [], "its archive is gone", 10)


async def test_an_archive_beside_its_scene_goes_when_the_scene_is_wanted(tmp_path: Path) -> None:
    """A process that was killed between the two has left it."""
    home, store = tmp_path / "agent", Store(a_body(tmp_path))
    async with store.client() as http:
        await a_fetch(home, store, http).run()
        again = a_fetch(home, store, http)
        (scene,) = (home / "cache").glob("[0-9a-f]*")
        (home / "cache" / f".archive-{scene.name}").write_bytes(store.body)
        await again.run()
    assert archives(home) == []
    assert store.sent == len(store.body)


@pytest.mark.parametrize("most", [1_600, 2_700])
async def test_what_was_broken_off_counts_in_what_the_cache_takes_and_goes_before_any_scene(tmp_path: Path, most: int) -> None:
    cache, archive = BundleCache(tmp_path / "cache", most, 0), an_archive(tmp_path / "a.zip", 1_000)
    first, second, third = (letter * 64 for letter in "abc")
    cache.archive(first).write_bytes(bytes(700))
    await cache.add(second, archive)
    await until(lambda: cache.archive(first).exists() is (most > 1_700), "it stays within the bound only", 10)
    async with cache.turn(first):
        cache.archive(first).write_bytes(bytes(700))
        await cache.add(third, archive)
        assert cache.archive(first).exists(), "it is being gone on with"
        assert cache.names(3) == ((third, second) if most >= 2_700 else (third,))


async def test_a_part_that_a_crash_has_spoilt_is_found_out_and_the_bundle_comes_anew(tmp_path: Path) -> None:
    store, to = Store(a_body(tmp_path)), tmp_path / "part"
    to.write_bytes(bytes(BLOCK))
    async with store.client() as http:
        download = Download(http, to, hashlib.sha256(store.body).hexdigest(), len(store.body))
        await download.take_up()
        assert download.bytes == BLOCK
        with pytest.raises(TamperedBundle):
            await download.go_on("http://store/b")
        await download.go_on("http://store/b")
    assert to.read_bytes() == store.body


async def test_an_archive_that_is_whole_is_not_asked_for(tmp_path: Path) -> None:
    """It was being unpacked when its attempt ended."""
    store, to = Store(a_body(tmp_path)), tmp_path / "whole"
    to.write_bytes(store.body)
    async with store.client() as http:
        download = Download(http, to, hashlib.sha256(store.body).hexdigest(), len(store.body))
        await download.take_up()
        await download.go_on("http://store/b")
    assert store.sent == 0


async def test_one_that_two_attempts_have_unpacked_is_there_once(tmp_path: Path) -> None:
    cache, archive = BundleCache(tmp_path / "cache", 1 << 40, 0), an_archive(tmp_path / "a.zip", 10)
    assert await cache.add("a" * 64, archive) == await cache.add("a" * 64, archive)
