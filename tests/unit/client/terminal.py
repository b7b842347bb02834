"""A farm that answers as told, and the command as it is typed against it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from framelend import cli
from typer.testing import CliRunner


class Answering(BaseHTTPRequestHandler):
    """Over a real wire, quietly."""

    def answer(self, told: Any) -> None:
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Not here."""


@contextmanager
def logged_in(farm: type[Answering], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command is, to this farm."""
    with ThreadingHTTPServer(("127.0.0.1", 0), farm) as server:
        serving = Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        monkeypatch.setenv("FRAMELEND_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("FRAMELEND_KEY", "fl_key")
        yield
        server.shutdown()
        serving.join()


def said(*words: str) -> str:
    done = CliRunner().invoke(cli.app, list(words))
    assert done.exit_code == 0, done.output
    return done.output
