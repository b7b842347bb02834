"""The dashboard's queries on a live Prometheus: a renamed metric or label shows up as a panel without data."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

COMMITTED = Path(__file__).with_name("farm-overview.json")
POINTS = 240
VARIABLES: Mapping[str, str] = {"$vhost": "farm", "$__rate_interval": "1m"}
"""What Grafana would fill in. The rate interval is four scrapes there; a minute sees as much of an idle farm."""


@dataclass(frozen=True)
class Series:
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]
    """(seconds since the epoch, value); the values are finite."""


@dataclass(frozen=True)
class Asked:
    """One query of one panel."""

    panel: str
    expr: str
    legend: str

    def __str__(self) -> str:
        return f"{self.panel}: {self.expr}"


class QueryRefused(Exception):
    """Prometheus does not understand the query; its own words follow."""


def without_data(url: str, seconds: float = 3600, variables: Mapping[str, str] = VARIABLES) -> list[Asked]:
    """The queries of the committed dashboard that had no finite value in the last `seconds` on the Prometheus at `url`.
    Raises QueryRefused, and httpx.TransportError when nobody answers."""
    panels = json.loads(COMMITTED.read_text())["panels"]
    return [asked for panel in panels for asked in queries(panel) if not series(url, asked.expr, seconds, variables)]


def queries(panel: Mapping[str, Any]) -> Iterator[Asked]:
    for target in panel.get("targets", ()):
        yield Asked(panel["title"], target["expr"], target.get("legendFormat", ""))


def series(url: str, expr: str, seconds: float, variables: Mapping[str, str] = VARIABLES) -> list[Series]:
    """What the query gives over the last `seconds`; series without any finite value are left out."""
    for name, value in variables.items():
        expr = expr.replace(name, value)
    now = time.time()
    asked: dict[str, str | float] = {"query": expr, "start": now - seconds, "end": now, "step": max(5.0, seconds / POINTS)}
    found = (Series(one["metric"], tuple(_finite(one["values"]))) for one in _result(url, asked))
    return [one for one in found if one.points]


def _result(url: str, asked: Mapping[str, str | float]) -> Any:
    answer = httpx.post(f"{url.rstrip('/')}/api/v1/query_range", data=asked, timeout=30, trust_env=False)
    if answer.is_error:
        raise QueryRefused(f"{asked['query']}: {answer.text[:500]}")
    return answer.json()["data"]["result"]


def _finite(values: list[tuple[float, str]]) -> Iterator[tuple[float, float]]:
    for at, text in values:
        if math.isfinite(value := float(text)):
            yield float(at), value
