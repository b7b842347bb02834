"""The tracebox takes what OpenTelemetry's exporter sends and keeps a bounded number of traces."""

import gzip

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from infra.tracebox.app import build
from infra.tracebox.spans import MOST_SPANS, Span, Traces


def a_span(trace_id: str = "a" * 32, **changes: object) -> Span:
    told: dict[str, object] = {"span_id": "b" * 16, "parent": "", "name": "render", "service": "agent", "start": 1.0, "end": 2.0}
    return Span(trace_id=trace_id, **{**told, **changes})  # type: ignore[arg-type]


def two_real_spans() -> tuple[ReadableSpan, ...]:
    """A parent that failed and its child, made by the SDK itself."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "intake"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("POST /v1/jobs", attributes={"job.id": "j1", "frames": 3}) as parent:
        parent.set_status(Status(StatusCode.ERROR))
        with tracer.start_as_current_span("<save>"):
            pass
    return kept.get_finished_spans()


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_what_the_exporter_sends_is_found_by_attribute_and_drawn(encoding: str) -> None:
    body = encode_spans(two_real_spans()).SerializeToString()
    packed = gzip.compress(body) if encoding == "gzip" else body
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(10)), base_url="http://tracebox") as client:
        taken = await client.post("/v1/traces", content=packed, headers={"content-encoding": encoding})
        assert taken.status_code == 200
        (trace_id,) = (await client.get("/api/traces", params={"attribute": "job.id", "value": "j1"})).json()
        assert (await client.get("/api/traces", params={"attribute": "job.id", "value": "j2"})).json() == []
        parent, child = (await client.get(f"/api/traces/{trace_id}")).json()
        assert (parent["name"], parent["service"], parent["parent"], parent["failed"]) == ("POST /v1/jobs", "intake", "", True)
        assert parent["attributes"] == {"job.id": "j1", "frames": 3}
        assert child["parent"] == parent["span_id"]
        assert parent["start"] <= child["start"] <= child["end"] <= parent["end"]
        page = (await client.get(f"/traces/{trace_id}")).text
        assert "&lt;save&gt;" in page
        assert "<save>" not in page
        assert trace_id in (await client.get("/")).text


async def test_an_unknown_trace_is_a_404() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(10)), base_url="http://tracebox") as client:
        assert (await client.get("/api/traces/" + "0" * 32)).status_code == 404
        assert (await client.get("/traces/" + "0" * 32)).status_code == 404


def test_the_least_recently_touched_trace_is_forgotten_first() -> None:
    traces = Traces(limit=2)
    for trace_id in ("one", "two", "one", "three"):
        traces.add([a_span(trace_id)])
    assert traces.find(None, None) == ["three", "one"]
    assert traces.get("two") == []


def test_an_endless_trace_stops_growing() -> None:
    traces = Traces(limit=2)
    traces.add(a_span() for _ in range(MOST_SPANS + 5))
    assert len(traces.get("a" * 32)) == MOST_SPANS
