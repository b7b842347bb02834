"""Fetching over lines that break and last: addresses run out and are asked for anew, what has come is not fetched again."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import httpx
import pytest
from framelend import Client
from framelend.fetching import TRIES, fetch
from framelend.problems import FarmUnreachable

FILM = bytes(range(256)) * 64
HALF = len(FILM) // 2


class Store(BaseHTTPRequestHandler):
    """Takes addresses from `good` on, breaks off in the middle the first time, and knows Range."""

    good: ClassVar[int]
    breaks: ClassVar[bool]
    asked: ClassVar[list[str | None]]

    def do_GET(self) -> None:
        self.asked.append(self.headers["range"])
        if int(self.path.rpartition("=")[2]) < self.good:
            self.send_response(403)
            return self.end_headers()
        begin = int((self.headers["range"] or "bytes=0-")[len("bytes=") : -1])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(FILM) - begin))
        self.end_headers()
        breaks, type(self).breaks = self.breaks, False
        self.wfile.write(FILM[begin : HALF if breaks else None])

    def log_message(self, *_: object) -> None:
        """Not here."""


@pytest.fixture
def store() -> Iterator[str]:
    Store.good, Store.breaks, Store.asked = 1, False, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        serving = Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def fetched(store: str, folder: Path) -> tuple[bytes, int]:
    """What came, and how often the farm was asked for addresses: each answer's addresses carry its number."""
    asked: list[list[str]] = []

    def farm(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["names"])
        about = {"bytes": len(FILM), "sha256": hashlib.sha256(FILM).hexdigest()}
        granted = [{"name": name, "url": f"{store}/{name}?granted={len(asked)}", **about} for name in asked[-1]]
        return httpx.Response(200, json={"downloads": granted, "missing": []})

    with Client("https://farm.example", "key", transport=httpx.MockTransport(farm), patience=0.01) as client:
        (path,) = fetch(client, "job", ["film.mp4"], folder, lambda _, __: None)
    return path.read_bytes(), len(asked)


def test_an_address_that_has_run_out_is_asked_for_anew(store: str, tmp_path: Path) -> None:
    Store.good = 2
    assert fetched(store, tmp_path) == (FILM, 2)


def test_a_file_that_the_store_never_gives_is_given_up(store: str, tmp_path: Path) -> None:
    Store.good = TRIES + 1
    with pytest.raises(FarmUnreachable, match=r"film.mp4"):
        fetched(store, tmp_path)
    assert len(Store.asked) == TRIES


def test_what_came_before_the_line_broke_is_not_fetched_again(store: str, tmp_path: Path) -> None:
    Store.breaks = True
    assert fetched(store, tmp_path) == (FILM, 1)
    assert Store.asked == [None, f"bytes={HALF}-"]


def test_a_rest_of_something_else_is_thrown_away(store: str, tmp_path: Path) -> None:
    (tmp_path / ".film.mp4.part").write_bytes(b"something else")
    assert fetched(store, tmp_path) == (FILM, 1)
    assert Store.asked == ["bytes=14-", None]
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
