"""The scrape configuration of the local Prometheus. Agents come and go: they are found in a folder of target files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

QUEUE_FAMILIES = ("queue_coarse_metrics", "queue_consumer_count", "queue_delivery_metrics")
"""What `/metrics/detailed` tells per queue; `/metrics` has only sums over all queues."""
ALERTS = Path(__file__).with_name("alerts.yml")


def scrape_config(*, services: Mapping[str, int], rabbit: int, prometheus: int, agents: Path) -> dict[str, Any]:
    """``services`` is name → HTTP port, ``agents`` the folder of file_sd target files."""
    return {
        "global": {"scrape_interval": "5s", "scrape_timeout": "4s", "evaluation_interval": "5s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            *(_job(name, port, {"service": name}) for name, port in services.items()),
            {"job_name": "agents", "file_sd_configs": [{"files": [f"{agents}/*.json"], "refresh_interval": "5s"}]},
            _job("rabbitmq", rabbit, {}),
            {
                **_job("rabbitmq-queues", rabbit, {}),
                "metrics_path": "/metrics/detailed",
                "params": {"family": list(QUEUE_FAMILIES)},
            },
            _job("prometheus", prometheus, {}),
        ],
    }


def _job(name: str, port: int, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": dict(labels)}]}


def prometheus_yml(**settings: Any) -> str:
    return yaml.safe_dump(scrape_config(**settings), sort_keys=False)
