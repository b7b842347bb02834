"""What a renter reads of the inspection and how he takes what it offers, against a farm that answers as told."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest
from framelend import cli
from typer.testing import CliRunner

FINDINGS = [
    {"code": "engine", "severity": "error", "text": "It is EEVEE.", "fix": "Use Cycles.", "change": "render-with-cycles"},
    {"code": "percentage", "severity": "warning", "text": "At 50 %.", "fix": "100 %.", "change": "full-resolution"},
    {"code": "scripts", "severity": "warning", "text": "A script [here].", "fix": "Bake it."},
]
JOB: dict[str, Any] = {
    "id": "j-1", "name": "film", "state": "failed", "reason": "", "submitted_at": "2026-11-21T12:00:00Z", "stored": 0, "total": 0,
    "charged": "0", "price": None, "revision": 1, "ended": True, "bundle": "b" * 64, "blend": "film.blend", "asked_frames": "",
    "frames": "", "price_per_wu": "0.01", "max_cost": None, "deadline": None, "control": None, "findings": FINDINGS,
    "support": "supported with changes", "width": 0, "height": 0, "fps": 0, "deposit": "0", "held": "0", "quote": None,
    "refusal": None, "remaining_seconds": None, "agents": [], "failure": None, "settlement": None, "files": [],
    "files_until": None,
}  # fmt: skip
Asked = list[tuple[str, Any]]


class Farm(BaseHTTPRequestHandler):
    """Knows one job, and answers a change of it with another."""

    asked: ClassVar[Asked] = []
    job: ClassVar[dict[str, Any]] = JOB

    def do_GET(self) -> None:
        self._answer(self.job)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        self._answer({"job": {**JOB, "id": "j-2", "findings": []}, "path": "/jobs/j-2/open?pass=x"})

    def _answer(self, told: Any) -> None:
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Not here."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """What the farm is asked that the command is logged in to."""
    Farm.asked, Farm.job = [], JOB
    with ThreadingHTTPServer(("127.0.0.1", 0), Farm) as server:
        serving = Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        monkeypatch.setenv("FRAMELEND_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("FRAMELEND_KEY", "fl_key")
        yield Farm.asked
        server.shutdown()
        serving.join()


def said(*words: str) -> str:
    done = CliRunner().invoke(cli.app, list(words))
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_the_verdict_stands_below_the_findings_with_the_command_that_takes_the_offers(asked: Asked) -> None:
    text = said("quote", "j-1")
    assert "A script [here]." in text
    assert "The file is supported with changes." in text
    assert "framelend apply j-1 render-with-cycles full-resolution" in text


def test_nothing_is_offered_once_it_was_taken(asked: Asked) -> None:
    Farm.job = {**JOB, "replaced_by": "j-2"}
    assert "framelend apply" not in said("quote", "j-1")


def test_without_names_only_what_the_errors_need_is_applied(asked: Asked) -> None:
    text = said("apply", "j-1")
    assert asked == [("/v1/jobs/j-1/changes", {"changes": ["render-with-cycles"]})]
    assert "framelend quote j-2" in text


def test_a_named_change_is_applied_as_it_is_named(asked: Asked) -> None:
    assert json.loads(said("apply", "j-1", "full-resolution", "--json"))["id"] == "j-2"
    assert asked == [("/v1/jobs/j-1/changes", {"changes": ["full-resolution"]})]


def test_a_file_that_needs_nothing_is_left_alone(asked: Asked) -> None:
    Farm.job = {**JOB, "findings": FINDINGS[1:]}
    done = CliRunner().invoke(cli.app, ["apply", "j-1"])
    assert done.exit_code != 0
    assert asked == []
