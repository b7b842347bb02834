"""The committed dashboard is what the code says, Grafana's own model can read all of it, and it asks for metrics that exist."""

import ast
import json
import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from infra.grafana.dashboard import farm_overview
from infra.grafana.farm_overview import ROWS
from infra.grafana.queries import COMMITTED
from infra.prometheus.config import ALERTS
from services.storage.metrics import REJECTIONS

CHECKOUT = Path(__file__).parents[3]
ENDINGS = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


def through_the_model(told: dict[str, Any]) -> Any:
    """Read and written again by the SDK: what it does not know is lost on the way."""
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(told), cls=JSONEncoder))


def said_first(folder: str, callables: Container[str]) -> Iterator[tuple[str, str]]:
    """(callable, its first argument) wherever one of these is called with a literal text."""
    for file in (CHECKOUT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]) if name in callables:
                    yield name, text


def kept_series() -> Iterator[str]:
    """The names under which Prometheus sees what services and agent count."""
    for folder in ("services", "agent"):
        for kind, name in said_first(folder, ENDINGS):
            yield from (f"{name}{ending}" for ending in ENDINGS[kind])


def ours(text: str) -> set[str]:
    return set(re.findall(r"\bframelend_\w+", text))


def asked() -> set[str]:
    return {name for row in ROWS for panel in row.panels for query in panel.queries for name in ours(query.expr)}


def test_the_committed_dashboard_is_what_the_code_writes() -> None:
    assert COMMITTED.read_text() == farm_overview(), "run `python -m infra.grafana`"


def test_grafanas_model_loses_nothing_of_it() -> None:
    told = json.loads(farm_overview())
    assert through_the_model(told) == told


def test_the_model_does_lose_a_misspelt_key() -> None:
    told = json.loads(farm_overview())
    told["panels"][1]["titel"] = "Health"
    assert through_the_model(told) != told


def test_every_panel_has_a_number_and_every_query_of_a_panel_a_letter_of_its_own() -> None:
    panels = json.loads(farm_overview())["panels"]
    assert len({panel["id"] for panel in panels} - {0}) == len(panels)
    for panel in panels:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert all(letters)
        assert len(set(letters)) == len(letters)


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in json.loads(farm_overview())["panels"]):
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_panel_says_what_it_shows() -> None:
    assert [panel.title for row in ROWS for panel in row.panels if panel.what[-1:] not in (".", "?") or not panel.queries] == []


def test_every_metric_that_is_asked_for_is_counted_by_somebody() -> None:
    assert asked() - set(kept_series()) == set()


def test_every_metric_that_alerts_ask_for_is_counted_by_somebody() -> None:
    assert ours(ALERTS.read_text()) - set(kept_series()) == set()


def test_every_reason_to_reject_a_frame_is_counted_from_zero() -> None:
    assert {code for _, code in said_first("services/storage", ("NotThePicture",))} == set(REJECTIONS)
