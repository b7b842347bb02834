"""The agent's part of a job's trace: it continues from the assignment's headers and travels on in every event."""

import time
from collections.abc import Mapping

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode


def configure(agent: str, otlp_url: str | None) -> TracerProvider:
    """Once, at the start of the process. Without a URL spans still have ids, but go nowhere."""
    provider = TracerProvider(resource=Resource.create({"service.name": "agent", "service.instance.id": agent}))
    if otlp_url:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(otlp_url, timeout=2), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    return provider


class AttemptTrace:
    """One span for the attempt, below what assigned it, and spans of its steps below that."""

    def __init__(self, parent: Mapping[str, str], attributes: Mapping[str, str]) -> None:
        self._attributes = {f"framelend.{key}": value for key, value in attributes.items()}
        self._tracer = trace.get_tracer("framelend")
        context = propagate.extract(dict(parent))
        self._span = self._tracer.start_span("attempt", context, SpanKind.CONSUMER, self._attributes)
        self._context = trace.set_span_in_context(self._span)

    @property
    def id(self) -> str:
        return f"{self._span.get_span_context().trace_id:032x}"

    def headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        propagate.inject(headers, self._context)
        return headers

    def step(self, name: str, seconds: float, **attributes: str | int | float) -> None:
        """A step that has just ended and took this long."""
        end = time.time_ns()
        own = {**self._attributes, **{f"framelend.{key}": value for key, value in attributes.items()}}
        span: Span = self._tracer.start_span(name, self._context, start_time=end - int(seconds * 1e9), attributes=own)
        span.end(end)

    def end(self, outcome: str, ok: bool) -> None:
        self._span.set_attribute("framelend.outcome", outcome)
        self._span.set_status(StatusCode.OK if ok else StatusCode.ERROR)
        self._span.end()
