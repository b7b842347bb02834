"""The client against a farm and a store that answer as told: repeating, resuming, checking, and words for what went wrong."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import httpx
import pytest
from framelend import Client, FarmProblem, FarmUnreachable, fetching, following
from framelend.config import Login, NotLoggedIn, config_file, login, save
from framelend.models import Download
from framelend.problems import LocalProblem
from framelend.transport import Transport
from hypothesis import given
from hypothesis import strategies as st

Answer = Callable[[httpx.Request], httpx.Response]


def a_client(answer: Answer) -> Client:
    return Client("http://farm.example", "fl_key", transport=httpx.MockTransport(answer), patience=0.01)


def problem(status: int, code: str, **more: Any) -> httpx.Response:
    body = {"type": f"urn:framelend:problem:{code}", "title": "No", "status": status, "detail": "Because.", **more}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


def test_what_the_farm_refuses_is_raised_with_its_words() -> None:
    with a_client(lambda _: problem(409, "quote-expired", next="Submit again.")) as client, pytest.raises(FarmProblem) as caught:
        client.accept("j-1", 1)
    assert (caught.value.code, caught.value.status, caught.value.problem.next) == ("quote-expired", 409, "Submit again.")


def test_what_is_no_farm_is_said_to_be_none() -> None:
    with (
        a_client(lambda _: httpx.Response(404, text="<html>")) as client,
        pytest.raises(FarmProblem, match="not a Framelend farm"),
    ):
        client.account()


def test_a_request_is_repeated_under_the_same_key_while_the_farm_is_away() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx.ConnectError("away")
        if len(keys) == 2:
            return problem(503, "farm-away")
        return httpx.Response(202, json={"order": "o-1", "account": "a", "amount": "1.5"})

    with a_client(answer) as client:
        assert str(client.issue_credits("a", "1.5").amount) == "1.5"
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_whom_a_renter_allows_is_said_only_where_he_says_it() -> None:
    said: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(json.loads(request.content))
        return problem(409, "stop-here")

    with a_client(answer) as client:
        for more in ({}, {"allows": ["own", "named"], "lenders": ["bob"], "order": "preview"}):
            with pytest.raises(FarmProblem):
                client.submit("0" * 64, "0.01", **more)  # type: ignore[arg-type]  # as a caller's own dictionary
    assert not {"allows", "lenders", "order"} & said[0].keys()
    assert (said[1]["allows"], said[1]["lenders"], said[1]["order"]) == (["own", "named"], ["bob"], "preview")


def test_opening_an_account_is_never_repeated_by_itself() -> None:
    tries: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        tries.append(1)
        raise httpx.ReadError("lost")

    with a_client(answer) as client, pytest.raises(FarmUnreachable):
        client.open_account("Rita", "rita@example.org", ["renter"])
    assert len(tries) == 1


class Store:
    """A store that keeps what is put to it, loses every third part twice, and forgets its first addresses."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.tries: Counter[str] = Counter()
        self.lock = Lock()

    def status(self, path: str, body: bytes) -> int:
        """Of a part put here; what is taken is kept."""
        with self.lock:
            self.tries[path] += 1
            part = path.rsplit("/", 1)[-1]
            if path.startswith("/old"):
                return 403
            if int(part) % 3 == 0 and self.tries[path] <= 2:
                return 500
            self.parts[part] = body
            return 200

    @contextmanager
    def served(self) -> Iterator[str]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(store.status(self.path, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class Farm:
    """As much of intake as an upload needs. The first page of addresses it gives is good for nothing."""

    PART = 1000

    def __init__(self, store: str, size: int) -> None:
        self.store, self.size, self.state, self.pages = store, size, "requested", list[int]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/parts"):
            return self._page(int(request.url.params["page"]))
        if request.url.path.endswith("/finish"):
            self.state = "stored"
        sha256 = json.loads(request.content)["sha256"] if request.content else "0" * 64
        body = {"id": "u-1", "state": self.state, "sha256": sha256, "bytes": self.size, "blends": ["a.blend"]}
        return httpx.Response(200, json=body)

    def _page(self, page: int) -> httpx.Response:
        self.pages.append(page)
        total = -(-self.size // self.PART)
        kind = "old" if self.pages.count(page) == 1 and page == 0 else "new"
        numbers = range(page * 100 + 1, min(total, page * 100 + 100) + 1)
        parts = [{"number": n, "url": f"{self.store}/{kind}/{n}"} for n in numbers]
        sums = {"page": page, "part_bytes": self.PART, "parts_total": total, "parts": parts, "seconds_valid": 60}
        return httpx.Response(200, json=sums)


def test_a_bundle_arrives_whole_through_a_lossy_store_and_addresses_that_ran_out(tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    bundle.write_bytes(bytes(n % 251 for n in range(123_456)))
    store = Store()
    with store.served() as url:
        farm = Farm(url, bundle.stat().st_size)
        told: list[tuple[int, int]] = []
        with a_client(farm) as client:
            upload = client.upload(bundle, lambda done, of: told.append((done, of)), tmp_path / "memory")
    assert upload.state == "stored"
    assert b"".join(store.parts[str(n)] for n in range(1, 125)) == bundle.read_bytes()
    assert farm.pages == [0, 0, 1]
    assert told[-1] == (123_456, 123_456)
    assert not list((tmp_path / "memory").iterdir()), "nothing is remembered of what is done"


def test_an_upload_goes_on_where_it_stopped(tmp_path: Path) -> None:
    bundle, memory = tmp_path / "b.zip", tmp_path / "memory"
    bundle.write_bytes(b"x" * 5_500)
    memory.mkdir()
    (memory / "u-1.json").write_text("[1, 2, 3]")
    store = Store()
    with store.served() as url, a_client(Farm(url, 5_500)) as client:
        client.upload(bundle, memory=memory)
    assert sorted(store.parts) == ["4", "5", "6"]


def a_download(name: str, content: bytes, url: str) -> Download:
    return Download(name=name, url=url, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("frames/7", "0007.png"),
        ("frames/-3", "-003.png"),
        ("frames.zip", "frames.zip"),
        ("../../x", "x"),
        ("a/..b", "b"),
        ("..\\x", "_x"),
    ],
)
def test_files_get_plain_names_in_one_folder(name: str, expected: str) -> None:
    assert fetching.file_name(a_download(name, b"", "http://s/x/1-abc.png")) == expected


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(LocalProblem):
        fetching.file_name(a_download("a/..", b"", "http://s/x"))


def test_what_came_damaged_gets_no_name(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.bin", tmp_path / "bad.bin"
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=b"whole"))) as store:
        fetching._get(store, a_download("good.bin", b"whole", "http://s/1"), good)
        with pytest.raises(fetching.Damaged):
            fetching._get(store, a_download("bad.bin", b"other", "http://s/2"), bad)
    assert [path.name for path in tmp_path.iterdir()] == ["good.bin"]


@given(st.sets(st.integers(-50, 50), max_size=20))
def test_frame_lists_are_read_as_the_farm_writes_them(wanted: set[int]) -> None:
    assert list(fetching.frame_numbers(",".join(str(n) for n in sorted(wanted)))) == sorted(wanted)


def test_ranges_steps_and_negative_frames_are_read() -> None:
    assert list(fetching.frame_numbers("-5--3,0,10-20x5")) == [-5, -4, -3, 0, 10, 15, 20]
    assert list(fetching.frame_numbers("")) == []


def test_following_goes_on_after_a_lost_connection_from_the_last_line_it_saw() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["last-event-id"])
        if len(asked) == 2:
            raise httpx.ReadError("lost")
        line = {"number": len(asked), "at": "2026-11-21T08:00:00Z", "kind": "k", "text": f"line {len(asked)}"}
        told = f": hello\n\nid: {len(asked)}\nevent: timeline\ndata: {json.dumps(line)}\n\n"
        return httpx.Response(200, text=told, headers={"content-type": "text/event-stream; charset=utf-8"})

    farm = Transport("http://farm.example", "k", httpx.MockTransport(answer), patience=0.01)
    news = following.follow(farm, "j-1")
    seen = [next(news) for _ in range(3)]
    farm.http.close()
    assert asked == ["0", "1", "1"]
    assert [type(one).__name__ for one in seen] == ["TimelineLine", "Lost", "TimelineLine"]


def test_a_page_is_not_followed_as_if_it_were_a_farm() -> None:
    with a_client(lambda _: httpx.Response(200, html="<html>")) as client, pytest.raises(FarmProblem, match="not a Framelend"):
        next(client.follow("j-1"))


def test_following_a_job_of_somebody_else_ends_at_once() -> None:
    with a_client(lambda _: problem(404, "unknown-job")) as client, pytest.raises(FarmProblem):
        next(client.follow("j-1"))


def test_the_login_is_readable_by_its_owner_only_and_the_environment_goes_first(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(NotLoggedIn):
        login(env)
    path = save(Login("http://farm.example", 'fl_"odd\\key'), env)
    assert path == config_file(env)
    assert path.stat().st_mode & 0o777 == 0o600
    assert login(env) == Login("http://farm.example", 'fl_"odd\\key')
    assert login({**env, "FRAMELEND_KEY": "other"}).key == "other"
    save(Login("http://two.example", "k"), env)
    assert login(env).url == "http://two.example"
