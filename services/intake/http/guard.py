"""What stands before every route: a span, a database to ask, a bound on the body, a measure, and the last catch.

Plain ASGI, so that streams pass through unbuffered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from opentelemetry.trace import Span, SpanKind
from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis import traces
from services.intake.domain.refusals import Refused, Why
from services.intake.http import problems

MOST_BYTES = 1 << 20
DRAIN_BYTES, DRAIN_SECONDS = 16 << 20, 5.0
REQUESTS = Counter("framelend_intake_requests", "HTTP requests by route and status", ["method", "route", "status"])
SECONDS = Histogram(
    "framelend_intake_request_seconds",
    "Time to the first byte of an answer; waiting on purpose included",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_CARRIED = (b"traceparent", b"tracestate")


async def _open() -> None:
    """Nothing to wait for."""


class Guard:
    """`ready` is waited for before anything is asked of the app; it raises when that would be in vain."""

    def __init__(self, app: ASGIApp, ready: Callable[[], Awaitable[None]] = _open, most_bytes: int = MOST_BYTES) -> None:
        self._app, self._ready, self._most = app, ready, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        carried = {k.decode(): v.decode("latin-1")[:512] for k, v in scope["headers"] if k in _CARRIED}
        with traces.span(f"HTTP {scope['method']}", {}, carried or None, SpanKind.SERVER) as span:
            await self._measured(scope, receive, send, span)

    async def _measured(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        began, started, whole = time.perf_counter(), False, False

        async def sent(message: Message) -> None:
            nonlocal started, whole
            if message["type"] == "http.response.start":
                started = True
                _measure(scope, message["status"], time.perf_counter() - began, span)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._ready()
            await self._bounded(scope, receive, sent)
        except Exception as error:
            if not started:
                await problems.unforeseen(error)(scope, receive, sent)
            elif not whole:
                raise  # a stream that broke: the connection is closed, the client comes back

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = _length(scope)
        if length is not None and length > self._most:
            await _drained(receive)
            return await _too_large(self._most)(scope, receive, send)
        read = 0

        async def received() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                await _drained(receive)
                raise HTTPException(413, "The body is larger than its bound.")
            return message

        await self._app(scope, received, send)


async def _drained(receive: Receive) -> None:
    """Reads on for a bounded while: who is still sending when we hang up never gets to read why."""
    read = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while read < DRAIN_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _length(scope: Scope) -> int | None:
    found = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(found[0]) if found and found[0].isdigit() else None


def _too_large(most: int) -> ASGIApp:
    advice = "Files go to the store by the addresses an upload gives, not through here."
    refused = Refused(Why.TOO_LARGE, "body-too-large", f"The body is larger than {most} bytes.", advice)
    return problems.response(problems.of(refused), {"Connection": "close"})


def _measure(scope: Mapping[str, Any], status: int, seconds: float, span: Span) -> None:
    route = str(getattr(scope.get("route"), "path", "none"))
    REQUESTS.labels(scope["method"], route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes({"http.request.method": scope["method"], "http.route": route, "http.response.status_code": status})
    for name, value in scope.get("path_params", {}).items():
        span.set_attribute(f"framelend.{name}", str(value)[:64])
