"""`/health` and `/metrics` on loopback, in a thread of their own: they answer even while the agent is busy."""

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

HOST = "127.0.0.1"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are no news."""


def open_door(port: int, wrong: Callable[[], list[str]]) -> WSGIServer:
    """Listens until `shutdown()`; `server_port` tells where. `wrong` lists what keeps the agent from working."""
    metrics = make_wsgi_app()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            return metrics(environ, start)  # type: ignore[no-any-return]
        if environ["PATH_INFO"] != "/health":
            return _say(start, "404 Not Found", {"title": "there are only /health and /metrics"})
        problems = wrong()
        return _say(start, "503 Service Unavailable" if problems else "200 OK", {"ok": not problems, "wrong": problems})

    server = make_server(HOST, port, answer, _Server, _Quiet)
    threading.Thread(target=server.serve_forever, name="door", daemon=True).start()
    return server


def _say(start: Callable[..., Any], status: str, body: dict[str, Any]) -> list[bytes]:
    start(status, [("content-type", "application/json")])
    return [json.dumps({"service": "agent", **body}).encode()]
