"""One trace from HTTP to the container: the W3C context travels in message headers and is saved with its event."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind


def configure(service: str, otlp_url: str | None) -> TracerProvider:
    """Once, at the start of the process. Without a URL spans still exist (their ids are in logs), but go nowhere."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if otlp_url:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(otlp_url, timeout=2), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    return provider


def carried() -> dict[str, str]:
    """The current trace context as headers."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


@contextmanager
def span(
    name: str, attributes: Mapping[str, str], parent: Mapping[str, str] | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A span below `parent` (headers), or below the current one."""
    above = propagate.extract(dict(parent)) if parent else None
    named = {f"framelend.{key}": value for key, value in attributes.items()}
    with trace.get_tracer("framelend").start_as_current_span(name, context=above, kind=kind, attributes=named) as current:
        yield current


@contextmanager
def under(parent: Mapping[str, str]) -> Iterator[None]:
    """What is saved or said inside belongs below `parent` (headers), without a span of its own: in batches, sweeps and rounds,
    where no message is the current one. Nothing changes when there are no headers."""
    token = context.attach(propagate.extract(dict(parent))) if parent else None
    try:
        yield
    finally:
        if token is not None:
            context.detach(token)
