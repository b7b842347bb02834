"""When is a part ready? Asked from outside, as its users would, until it is so or a deadline passes."""

from __future__ import annotations

import base64
import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from infra.local import supervision
from infra.local.failure import FarmError
from infra.local.layout import Layout

Check = Callable[[], str]
"""Empty when ready, else what is still missing."""
HOPELESS = {"FATAL", "EXITED", "UNKNOWN"}
LAST_LINES = 12


def tcp(port: int) -> str:
    """Something listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as problem:
        return f"port {port}: {problem.strerror or problem}"
    return ""


def smtp(port: int) -> str:
    """A mail server greets."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as peer:
            return "" if peer.recv(3) == b"220" else "no greeting"
    except OSError as problem:
        return f"port {port}: {problem.strerror or problem}"


def amqp(port: int) -> str:
    """The broker answers the protocol header with a method frame, i.e. it would let a client log in."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as peer:
            peer.sendall(b"AMQP\x00\x00\x09\x01")
            return "" if peer.recv(1) == b"\x01" else "the broker does not speak AMQP yet"
    except OSError as problem:
        return f"port {port}: {problem.strerror or problem}"


def http_ok(url: str, auth: tuple[str, str] | None = None, refused_is_fine: bool = False) -> str:
    """GET answers 2xx; ``refused_is_fine`` for a store that is ready when it refuses what is not signed."""
    request = urllib.request.Request(url)
    if auth:
        token = base64.b64encode(":".join(auth).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=3):
            return ""
    except urllib.error.HTTPError as problem:
        return "" if refused_is_fine and problem.code in (400, 403) else f"{url} answers {problem.code}"
    except (OSError, http.client.HTTPException) as problem:
        return f"{url}: {problem}"


def wait_until_ready(layout: Layout, name: str, check: Check, seconds: float) -> float:
    """Seconds that the program took to be ready; FarmError when it ended or the time is over."""
    began = time.monotonic()
    while missing := check():
        state = supervision.states(layout).get(name, {}).get("statename", "UNKNOWN")
        if state in HOPELESS:
            raise FarmError(name, f"ended ({state}){tail(layout.log(name))}", layout.log(name), "read the log's end")
        if time.monotonic() - began > seconds:
            raise FarmError(name, f"not ready after {seconds:.0f} s: {missing}{tail(layout.log(name))}", layout.log(name))
        time.sleep(0.1)
    return time.monotonic() - began


def tail(log: Path, lines: int = LAST_LINES) -> str:
    """The last lines of a log, indented for an error message."""
    if not log.exists():
        return ""
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return "".join(f"\n    | {line}" for line in last)
