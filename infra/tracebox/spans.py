"""Spans as the tracebox keeps them, and the bounded store of the last traces."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MOST_SPANS = 5000
"""Of one trace; further ones are dropped, so that one endless job cannot fill the memory."""
NANOSECONDS = 1e9
ERROR = 2
"""OTLP's status code for a failed span."""


@dataclass(frozen=True)
class Span:
    """Times are seconds since the epoch."""

    trace_id: str
    span_id: str
    parent: str
    """Empty for a root."""
    name: str
    service: str
    start: float
    end: float
    failed: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(span, str(about.get("service.name", "unknown")))


def _span(told: Any, service: str) -> Span:
    return Span(
        trace_id=told.trace_id.hex(),
        span_id=told.span_id.hex(),
        parent=told.parent_span_id.hex(),
        name=told.name,
        service=service,
        start=told.start_time_unix_nano / NANOSECONDS,
        end=told.end_time_unix_nano / NANOSECONDS,
        failed=told.status.code == ERROR,
        attributes=_attributes(told.attributes),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(told: Any) -> Any:
    kind = told.WhichOneof("value")
    if kind is None:
        return None
    value = getattr(told, kind)
    return [_value(item) for item in value.values] if kind == "array_value" else value


class Traces:
    """The last traces, the least recently touched forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spans: OrderedDict[str, list[Span]] = OrderedDict()

    def add(self, spans: Iterable[Span]) -> None:
        for span in spans:
            kept = self._spans.setdefault(span.trace_id, [])
            if len(kept) < MOST_SPANS:
                kept.append(span)
            self._spans.move_to_end(span.trace_id)
        while len(self._spans) > self._limit:
            self._spans.popitem(last=False)

    def get(self, trace_id: str) -> Sequence[Span]:
        """Its spans by start; empty when unknown."""
        return sorted(self._spans.get(trace_id, ()), key=lambda span: span.start)

    def find(self, attribute: str | None, value: str | None) -> list[str]:
        """Ids of the traces that have a span with this attribute (any value when ``value`` is None), newest first."""
        found = reversed(self._spans.items())
        return [trace_id for trace_id, spans in found if attribute is None or _has(spans, attribute, value)]


def _has(spans: Iterable[Span], attribute: str, value: str | None) -> bool:
    return any(attribute in span.attributes and (value is None or str(span.attributes[attribute]) == value) for span in spans)
