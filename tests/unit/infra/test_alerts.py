"""Each alert fires on what it is for and on nothing else; proved by Prometheus' own tool."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from infra.prometheus.config import ALERTS, prometheus_yml

CASES = ALERTS.with_name("alerts_test.yml")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def promtool(*words: str | Path) -> str:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_alerts_fire_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", CASES)


def test_every_alert_is_seen_firing_by_a_case() -> None:
    expected = str([case["promql_expr_test"] for case in yaml.safe_load(CASES.read_text())["tests"]])
    assert [rule["alert"] for rule in rules() if f'alertname="{rule["alert"]}"' not in expected] == []


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_prometheus_takes_the_configuration_with_its_alerts(tmp_path: Path) -> None:
    written = tmp_path / "prometheus.yml"
    written.write_text(prometheus_yml(services={"billing": 8083}, rabbit=15692, prometheus=9090, agents=tmp_path))
    assert f"{len(rules())} rules found" in promtool("check", "config", written)
