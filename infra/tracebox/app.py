"""The HTTP face of the tracebox: OTLP in, JSON and a plain waterfall out."""

from __future__ import annotations

import gzip
import html
from collections.abc import Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from infra.tracebox.spans import Span, Traces, spans_of

PROTOBUF = "application/x-protobuf"
STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#222}td{padding:0 .6rem;white-space:nowrap}
.lane{position:relative;width:48rem;height:1rem;background:#f3f3f3}
.bar{position:absolute;height:1rem;min-width:2px;background:#3b7dd8}.failed{background:#c0392b}
"""


def build(limit: int) -> Starlette:
    """A tracebox that keeps the last ``limit`` traces."""
    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/traces", take, methods=["POST"]),
            Route("/api/traces", search),
            Route("/api/traces/{trace_id}", trace),
            Route("/", overview),
            Route("/traces/{trace_id}", waterfall),
        ]
    )
    app.state.traces = Traces(limit)
    return app


def _traces(request: Request) -> Traces:
    kept: Traces = request.app.state.traces
    return kept


async def health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def take(request: Request) -> Response:
    """OTLP over HTTP with protobuf bodies, plain or gzipped."""
    body = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    _traces(request).add(spans_of(ExportTraceServiceRequest.FromString(body)))
    return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)


async def search(request: Request) -> Response:
    """``?attribute=job.id&value=…``: ids of the traces with such a span, newest first; all without a question."""
    attribute, value = request.query_params.get("attribute"), request.query_params.get("value")
    return JSONResponse(_traces(request).find(attribute, value))


async def trace(request: Request) -> Response:
    spans = _traces(request).get(request.path_params["trace_id"])
    if not spans:
        return JSONResponse({"error": "no such trace"}, status_code=404)
    return JSONResponse([span.as_json() for span in spans])


async def overview(request: Request) -> Response:
    kept = _traces(request)
    rows = "".join(_overview_row(trace_id, kept.get(trace_id)) for trace_id in kept.find(None, None)[:200])
    return _page("Traces", f"<table>{rows}</table>")


def _overview_row(trace_id: str, spans: Sequence[Span]) -> str:
    services = ", ".join(sorted({span.service for span in spans}))
    first = spans[0]
    cells = (f'<a href="/traces/{trace_id}">{trace_id}</a>', html.escape(first.name), html.escape(services))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in (*cells, f"{len(spans)} spans")) + "</tr>"


async def waterfall(request: Request) -> Response:
    spans = _traces(request).get(request.path_params["trace_id"])
    if not spans:
        return _page("No such trace", "", 404)
    began, ended = min(span.start for span in spans), max(span.end for span in spans)
    rows = "".join(_bar(span, began, max(ended - began, 1e-6)) for span in spans)
    return _page(f"Trace {spans[0].trace_id}", f"<table>{rows}</table>")


def _bar(span: Span, began: float, length: float) -> str:
    left, width = (span.start - began) / length * 100, (span.end - span.start) / length * 100
    details = html.escape("\n".join(f"{name} = {value}" for name, value in span.attributes.items()), quote=True)
    bar = f'<div class="bar {"failed" if span.failed else ""}" style="left:{left:.2f}%;width:{width:.2f}%"></div>'
    names = f"<td>{html.escape(span.service)}</td><td>{html.escape(span.name)}</td>"
    took = f"<td>{(span.end - span.start) * 1000:.1f} ms</td>"
    return f'<tr title="{details}">{names}<td><div class="lane">{bar}</div></td>{took}</tr>'


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    return HTMLResponse(f"{head}<h1>{title}</h1>{body}", status_code=status)
