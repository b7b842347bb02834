"""A bundle comes whole and unchanged, or not at all; what came over a broken line is not asked for again."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.downloading import BundleAway, Download, TamperedBundle

BODY = b"bundle" * 100
HASH = hashlib.sha256(BODY).hexdigest()
Answer = Callable[[httpx.Request], httpx.Response]


def a_download(answer: Answer, to: Path) -> Download:
    return Download(httpx.AsyncClient(transport=httpx.MockTransport(answer)), to, HASH, len(BODY))


def _bytes(body: bytes, status: int = 200) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(body))


def _away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def _from(request: httpx.Request) -> int:
    return int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


async def test_the_promised_bytes_are_downloaded(tmp_path: Path) -> None:
    await a_download(lambda _: _bytes(BODY), tmp_path / "b").go_on("http://store/b")
    assert (tmp_path / "b").read_bytes() == BODY


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda _: _bytes(BODY + b"x"), TamperedBundle),
        (lambda _: _bytes(b"B" + BODY[1:]), TamperedBundle),
        (lambda _: _bytes(BODY[:-1]), BundleAway),
        (lambda _: _bytes(BODY, 206), BundleAway),
        (lambda _: httpx.Response(403, content=BODY), BundleAway),
        (lambda _: httpx.Response(302, headers={"location": "http://else/"}), BundleAway),
        (_away, BundleAway),
    ],
)
async def test_anything_else_is_not_the_bundle(tmp_path: Path, answer: Answer, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        await a_download(answer, tmp_path / "b").go_on("http://store/b")


@given(cuts=st.lists(st.integers(0, len(BODY) - 1), max_size=6), ranges=st.booleans())
async def test_a_line_that_breaks_anywhere_costs_only_what_was_not_there_yet(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool
) -> None:
    """`ranges`: whether the store can begin in the middle; one that cannot sends everything again."""
    to, sent = tmp_path_factory.mktemp("d") / "b", 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal sent
        begin = _from(request) if ranges else 0
        end = max(begin, cuts.pop()) if cuts else len(BODY)
        sent += end - begin
        return _bytes(BODY[begin:end], 206 if begin else 200)

    download = a_download(answer, to)
    while download.bytes < len(BODY):
        try:
            await download.go_on("http://store/b")
        except BundleAway:
            continue
    assert to.read_bytes() == BODY
    assert sent == len(BODY) or not ranges


async def test_after_wrong_bytes_nothing_of_them_is_kept(tmp_path: Path) -> None:
    answers = iter([b"B" + BODY[1:], BODY])
    download = a_download(lambda _: _bytes(next(answers)), tmp_path / "b")
    with pytest.raises(TamperedBundle):
        await download.go_on("http://store/b")
    await download.go_on("http://store/b")
    assert (tmp_path / "b").read_bytes() == BODY


async def test_a_middle_that_is_another_bundles_is_found_out(tmp_path: Path) -> None:
    answers = iter([_bytes(BODY[:100]), _bytes(bytes(len(BODY) - 100), 206)])
    download = a_download(lambda _: next(answers), tmp_path / "b")
    with pytest.raises(BundleAway):
        await download.go_on("http://store/b")
    with pytest.raises(TamperedBundle):
        await download.go_on("http://store/b")
    assert download.bytes == 0
