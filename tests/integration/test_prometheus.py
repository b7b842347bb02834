"""The running Prometheus has our alerts, and understands every query of the dashboard."""

import asyncio
import json

import httpx
import pytest

from infra.grafana.queries import COMMITTED, QueryRefused, queries, series, without_data
from infra.local.farmfile import FarmFile
from infra.prometheus.config import ALERTS
from tests.farm.scraped import scraped
from tests.integration.world import World
from tests.waiting import until


@pytest.fixture
def prometheus(farm: FarmFile) -> str:
    return farm.http("PROMETHEUS")


def test_prometheus_evaluates_every_alert(prometheus: str) -> None:
    groups = httpx.get(f"{prometheus}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == ALERTS.read_text().count("- alert:")
    assert [rule for rule in rules if rule.get("lastError")] == []


def test_prometheus_understands_every_query_of_the_dashboard(prometheus: str) -> None:
    for panel in json.loads(COMMITTED.read_text())["panels"]:
        for asked in queries(panel):
            series(prometheus, asked.expr, 60)


def test_a_query_that_is_no_promql_is_refused_with_its_reason(prometheus: str) -> None:
    with pytest.raises(QueryRefused, match="parse error"):
        series(prometheus, "sum(", 60)


def test_what_is_scraped_has_data_and_what_never_was_has_none(prometheus: str) -> None:
    assert series(prometheus, "prometheus_build_info", 300)
    assert not series(prometheus, "framelend_no_such_metric", 300)
    assert not series(prometheus, "vector(0) / 0", 300), "not a number is no data"


def test_queries_of_a_virtual_host_without_queues_are_named(prometheus: str) -> None:
    silent = without_data(prometheus, 300, {"$vhost": "no-such-host", "$__rate_interval": "1m"})
    assert "Waiting for another try" in {one.panel for one in silent}


async def test_prometheus_sees_a_service_ready_and_sees_it_gone(world: World) -> None:
    billing = await world.start("billing")
    with scraped(world.token, {"billing": billing.port}, {}) as url:

        async def last(metric: str) -> float | None:
            found = await asyncio.to_thread(series, url, f'{metric}{{test="{world.token}"}}', 60)
            return found[0].points[-1][1] if found else None

        async def becomes(metric: str, value: float) -> None:
            async def so() -> bool:
                return await last(metric) == value

            await until(so, f"{metric} is {value:g}", 40)

        await becomes("up", 1)
        await becomes("framelend_ready", 1)
        billing.kill()
        await becomes("up", 0)
