"""Our panels as Grafana's JSON, by Grafana's own SDK.

The SDK leaves panel ids and the letters of queries empty; Grafana needs both, so they are set here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

from infra.grafana.farm_overview import ABOUT, ROWS, TITLE, UID
from infra.grafana.panel import Kind, Panel, Query, Row

SOURCE = model.DataSourceRef("prometheus", "${datasource}")
HEIGHT = {Kind.LINES: 8, Kind.STACKED: 8, Kind.NUMBERS: 5}
COLUMNS = 24


def farm_overview() -> str:
    """The JSON of the committed file."""
    return json.dumps(_dashboard(ROWS), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _dashboard(rows: Sequence[Row]) -> model.Dashboard:
    built = dashboard.Dashboard(TITLE).uid(UID).description(ABOUT).tags(["framelend"]).timezone("utc").readonly()
    built = built.time("now-30m", "now").refresh("10s").tooltip(model.DashboardCursorSync.CROSSHAIR)
    built = built.with_variable(_sources()).with_variable(_vhosts())
    result = built.build()
    result.panels = list(_placed(rows))
    return result


def _placed(rows: Sequence[Row]) -> Iterator[Any]:
    """Rows and panels from the left and top, numbered from 1."""
    number, x, y, height = 0, 0, 0, 0
    for row in rows:
        number, x, y, height = number + 1, 0, y + height, 0
        yield model.RowPanel(title=row.title, id_val=number, grid_pos=model.GridPos(h=1, w=COLUMNS, x=0, y=y))
        y += 1
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            built = _numbers(panel) if panel.kind is Kind.NUMBERS else _lines(panel)
            built.id_val, built.grid_pos = number, model.GridPos(h=HEIGHT[panel.kind], w=panel.width, x=x, y=y)
            yield built
            x, height = x + panel.width, max(height, HEIGHT[panel.kind])


def _lines(panel: Panel) -> Any:
    built = timeseries.Panel().title(panel.title).description(panel.what).datasource(SOURCE).unit(panel.unit)
    built = (
        built.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1)
        .fill_opacity(10)
        .show_points(common_model.VisibilityMode.NEVER)
        .axis_soft_min(0)
    )
    built = built.legend(common.VizLegendOptions().show_legend(True).display_mode(common_model.LegendDisplayMode.LIST)
                         .placement(common_model.LegendPlacement.BOTTOM).calcs(["lastNotNull"]))  # fmt: skip
    built = built.tooltip(
        common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI).sort(common_model.SortOrder.DESCENDING)
    )
    if panel.kind is Kind.STACKED:
        built = built.fill_opacity(40).stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        built = built.with_target(_target(letter, query).range())
    return built.build()


def _numbers(panel: Panel) -> Any:
    steps = [model.Threshold(step.value, step.colour) for step in panel.steps]
    built = stat.Panel().title(panel.title).description(panel.what).datasource(SOURCE).unit(panel.unit)
    built = built.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    built = built.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    built = built.graph_mode(common_model.BigValueGraphMode.NONE).reduce_options(
        common.ReduceDataOptions().calcs(["lastNotNull"])
    )
    if panel.decimals is not None:
        built = built.decimals(panel.decimals)
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        built = built.with_target(_target(letter, query).range())
    return built.build()


def _target(letter: str, query: Query) -> Any:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter).datasource(SOURCE)


def _sources() -> Any:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _vhosts() -> Any:
    """The broker's virtual host: one farm lives in one, tests live in others."""
    farm = model.VariableOption(text="farm", value="farm", selected=True)
    asked = dashboard.QueryVariable("vhost").label("Virtual host").query("label_values(rabbitmq_detailed_queue_messages, vhost)")
    return asked.datasource(SOURCE).current(farm).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
