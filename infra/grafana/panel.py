"""What a dashboard is made of, in our own few words, and the PromQL that its panels share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BRIEFLY = "$__rate_interval"
STEADILY = "5m"
"""A small farm says little per scrape; over five minutes even rare things draw a line."""
PER_MINUTE = " * 60"


class Kind(StrEnum):
    LINES = "timeseries"
    STACKED = "stacked"
    """Lines on top of each other, where the sum means something."""
    NUMBERS = "stat"


@dataclass(frozen=True)
class Query:
    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Step:
    """From this value on a number has this colour."""

    value: float | None
    colour: str


PLAIN = (Step(None, "text"),)
ALIVE = (Step(None, "red"), Step(1, "green"))
MUST_BE_NONE = (Step(None, "green"), Step(1, "red"))
MUST_BE_ZERO = (Step(None, "red"), Step(0, "green"), Step(1, "red"))
"""Of a whole number that may also be negative."""


@dataclass(frozen=True)
class Panel:
    title: str
    what: str
    """What it shows, and what the operator does when it looks wrong."""
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = Kind.LINES
    width: int = 8
    """Of 24 columns."""
    steps: tuple[Step, ...] = PLAIN
    decimals: int | None = None


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def rate(counter: str, by: str = "", where: str = "", over: str = BRIEFLY) -> str:
    """Per second. The name without `_total`, which the client appends."""
    return f"{_sum(by)}(rate({counter}_total{_braced(where)}[{over}]))"


def lately(counter: str, by: str = "", where: str = "") -> str:
    """How many in the last five minutes: for what is rare."""
    return f"{_sum(by)}(increase({counter}_total{_braced(where)}[{STEADILY}]))"


def quantile(which: float, histogram: str, by: str = "", where: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({which}, sum by ({labels}) (rate({histogram}_bucket{_braced(where)}[{STEADILY}])))"


def mean(histogram: str, by: str = "", where: str = "") -> str:
    times, counts = (f"{_sum(by)}(rate({histogram}_{part}{_braced(where)}[{STEADILY}]))" for part in ("sum", "count"))
    return f"{times} / {counts}"


def p50_p99(histogram: str) -> tuple[Query, ...]:
    return Query(quantile(0.5, histogram), "p50"), Query(quantile(0.99, histogram), "p99")


def or_zero(expr: str) -> str:
    """For sums without labels whose series exist only after something bad has happened."""
    return f"({expr}) or vector(0)"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"


def _braced(where: str) -> str:
    return f"{{{where}}}" if where else ""
