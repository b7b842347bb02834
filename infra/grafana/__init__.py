"""Dashboards as code. `python -m infra.grafana` writes `farm-overview.json`, which any Grafana 11 or newer imports.

No Grafana server runs here: the JSON is checked against the SDK's model and every query against a live Prometheus
(`infra.grafana.queries`), which no linter does.
"""
