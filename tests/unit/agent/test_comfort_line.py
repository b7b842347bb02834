"""Transfers within the lender's line, and his own line to his agent."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.control import NAME, NotRunning, ask, open_line
from agent.domain.bandwidth import full, passed
from agent.pacing import Pace, PacedTransport
from agent.storefront import Storefront, Unanswered, ahead
from agent.yielding import ByHand


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 200_000)), min_size=1, max_size=40))
def test_never_more_than_the_rate_and_one_second_of_burst_passes(pieces: list[tuple[float, int]]) -> None:
    rate, now, sent = 50_000.0, 100.0, 0
    bucket = full(rate, now)
    for pause, size in pieces:
        now += pause
        bucket, wait = passed(bucket, size, now)
        sent += size
        now += wait
        assert sent <= rate * (now - 100.0) + rate + 1.0


def test_a_rest_is_not_saved_up_beyond_a_second() -> None:
    bucket, wait = passed(full(1_000.0, 0.0), 1_000, 1_000.0)
    assert wait == 0.0
    assert passed(bucket, 500, 1_000.0)[1] == 0.5


class _Counting(Pace):
    """Counts instead of waiting."""

    def __init__(self, rate: int) -> None:
        super().__init__(rate)
        self.pieces: list[int] = []

    async def wait(self, size: int) -> None:
        self.pieces.append(size)


async def _blocks() -> AsyncIterator[bytes]:
    yield b"u" * 5_000
    yield b"v" * 100


async def test_every_byte_up_and_down_is_counted_in_small_pieces_and_arrives_unchanged() -> None:
    seen: list[bytes] = []

    async def store(request: httpx.Request) -> httpx.Response:
        seen.append(await request.aread())
        return httpx.Response(200, stream=httpx.ByteStream(b"d" * 9_000))

    paced = PacedTransport(httpx.MockTransport(store), 8_000, 16_000)
    paced._up, paced._down = up, down = _Counting(8_000), _Counting(16_000)
    async with httpx.AsyncClient(transport=paced) as http:
        answer = await http.put("http://store/x", content=_blocks(), headers={"content-length": "5100"})
    assert seen == [b"u" * 5_000 + b"v" * 100]
    assert answer.content == b"d" * 9_000
    assert (sum(up.pieces), max(up.pieces)) == (5_100, 2_000)
    assert (sum(down.pieces), max(down.pieces)) == (9_000, 4_000)


async def test_without_limits_nothing_waits() -> None:
    free = PacedTransport(httpx.MockTransport(lambda _: httpx.Response(200, content=b"d" * 9_000)), None, None)
    async with httpx.AsyncClient(transport=free) as http:
        assert len((await http.get("http://store/x")).content) == 9_000


# --- the owner's line


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    return {"heard": request, "much": "x" * 200_000}


async def _ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    return await asyncio.to_thread(ask, folder, request)


async def test_the_owner_is_answered_also_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 30)
    folder.mkdir()
    line = await open_line(folder, _answer)
    try:
        told = await _ask(folder, {"order": "status"})
        assert told["heard"] == {"order": "status"}
        assert len(told["much"]) == 200_000
        assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600
    finally:
        line.close()
        await line.wait_closed()


async def test_nobody_answers_when_no_agent_runs_or_one_was_killed_and_the_next_one_does(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        await _ask(tmp_path, {})
    line = await open_line(tmp_path, _answer)
    os.link(tmp_path / NAME, tmp_path / "kept")
    line.close()
    await line.wait_closed()
    if not (tmp_path / NAME).exists():
        (tmp_path / "kept").rename(tmp_path / NAME)
    with pytest.raises(NotRunning):
        await _ask(tmp_path, {})
    again = await open_line(tmp_path, _answer)
    assert (await _ask(tmp_path, {}))["heard"] == {}
    again.close()
    await again.wait_closed()


async def test_what_is_no_request_ends_only_its_own_connection(tmp_path: Path) -> None:
    line = await open_line(tmp_path, _answer)
    reader, writer = await asyncio.open_unix_connection(tmp_path / NAME)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    assert (await _ask(tmp_path, {"order": "status"}))["heard"] == {"order": "status"}
    line.close()
    await line.wait_closed()


# --- where the store is


async def _seen(front: Storefront, url: str) -> None:
    await front.seen(httpx.Response(200, request=httpx.Request("GET", url)))


async def test_of_a_signed_address_only_the_origin_is_kept_and_a_full_disk_spoils_no_transfer(tmp_path: Path) -> None:
    front = Storefront(tmp_path)
    assert front.origin is None
    await _seen(front, "https://store.example:9000/framelend/key?X-Amz-Signature=secret")
    assert Storefront(tmp_path).origin == "https://store.example:9000"
    assert "secret" not in (tmp_path / "store.txt").read_text()
    nowhere = Storefront(tmp_path / "gone")
    await _seen(nowhere, "https://store.example/x")
    assert nowhere.origin == "https://store.example"


async def test_a_store_that_does_not_answer_tells_no_time() -> None:
    with pytest.raises(Unanswered):
        await ahead("http://127.0.0.1:1/")


# --- his own pause


def test_a_pause_by_hand_outlives_a_restart_and_ends_by_itself_or_by_hand(tmp_path: Path) -> None:
    kept = tmp_path / "paused.json"
    assert ByHand(kept).words() is None
    ByHand(kept).pause(None)
    assert ByHand(kept).words() == "paused by hand"
    ByHand(kept).pause(30)
    assert ByHand(kept).words() == "paused by hand for 30 more minutes"
    again = ByHand(kept)
    again.resume()
    assert (again.words(), ByHand(kept).words()) == (None, None)
    kept.write_text('{"until": 1000.0}')
    assert ByHand(kept).words() is None
    kept.write_text("no json")
    assert ByHand(kept).words() is None


def test_a_pause_that_cannot_be_kept_holds_all_the_same(tmp_path: Path) -> None:
    by_hand = ByHand(tmp_path / "gone" / "paused.json")
    by_hand.pause(None)
    assert by_hand.words() == "paused by hand"
