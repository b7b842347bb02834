"""Lets the farm's Prometheus scrape a test's own services and agents while a test looks at what it knows of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from infra.local import farmfile
from infra.local.layout import Layout


@contextmanager
def scraped(token: str, services: Mapping[str, int], agents: Mapping[str, int]) -> Iterator[str]:
    """Name → port of each; their series carry the label `test` with this token. Gives the address of Prometheus, to be asked with
    `infra.grafana.queries.series`."""
    layout = Layout.of()
    targets = [
        *(_target(port, job=name, service=name, test=token) for name, port in services.items()),
        *(_target(port, job="agents", agent=name, test=token) for name, port in agents.items()),
    ]
    file = layout.data("prometheus") / "agents" / f"test-{token}.json"
    file.write_text(json.dumps(targets))
    try:
        yield farmfile.read(layout).http("PROMETHEUS")
    finally:
        file.unlink()


def _target(port: int, **labels: str) -> dict[str, object]:
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}
