"""A drawing of the dashboard's queries, for where no Grafana runs. It is ours and says so: same JSON, same places, same PromQL
over the same time, but not Grafana."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infra.grafana.queries import COMMITTED, VARIABLES, Series, queries, series

COLUMNS, COLUMN_INCHES, ROW_INCHES = 24, 0.8, 0.34
PAPER, PANEL, INK, FAINT = "#111217", "#181b1f", "#d8d9da", "#8e8e93"
COLOURS = ("#73bf69", "#5794f2", "#f2cc0c", "#ff780a", "#b877d9", "#f2495c", "#8ab8ff", "#ffa6b0", "#96d98d", "#ffcb7d")
NAMED = {"red": "#f2495c", "green": "#73bf69", "text": INK}
MOST_LINES = 10
Drawn = list[tuple[str, Series]]
"""A series and what its legend calls it."""


def draw(url: str, target: Path, seconds: float = 1800, variables: Mapping[str, str] = VARIABLES) -> None:
    """Write a PNG of the committed dashboard over the last `seconds` of the Prometheus at `url`."""
    told = json.loads(COMMITTED.read_text())
    height = 2 + max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in told["panels"])
    figure = Figure(figsize=(COLUMNS * COLUMN_INCHES, height * ROW_INCHES), facecolor=PAPER, dpi=80)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = f"{told['title']} · {now} · our own drawing of the dashboard's queries, not Grafana"
    figure.text(0.01, 1 - 0.8 / height, about, color=INK, fontsize=13, va="center")
    for panel in told["panels"]:
        _panel(figure, panel, height, [] if panel["type"] == "row" else _asked(url, panel, seconds, variables))
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def _asked(url: str, panel: Mapping[str, Any], seconds: float, variables: Mapping[str, str]) -> Drawn:
    found = [(_legend(asked.legend, one), one) for asked in queries(panel) for one in series(url, asked.expr, seconds, variables)]
    return sorted(found, key=lambda one: -one[1].points[-1][1])


def _legend(template: str, one: Series) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: one.labels.get(found[1], ""), template)


def _panel(figure: Figure, panel: Mapping[str, Any], height: int, drawn: Drawn) -> None:
    place = panel["gridPos"]
    left, bottom = place["x"] / COLUMNS, 1 - (2 + place["y"] + place["h"]) / height
    width, tall = place["w"] / COLUMNS, place["h"] / height
    if panel["type"] == "row":
        figure.text(left + 0.008, bottom + tall / 2, panel["title"], color=INK, fontsize=12, weight="bold", va="center")
        return
    axes = figure.add_axes((left + 0.03, bottom + tall * 0.24, width - 0.042, tall * 0.58), facecolor=PANEL)
    axes.set_title(panel["title"], color=INK, fontsize=9, loc="left", pad=4)
    unit = _unit(panel)
    if not drawn:
        _words(axes, "no data", FAINT, 11)
    elif panel["type"] == "stat":
        _numbers(axes, panel, drawn, unit)
    else:
        _lines(axes, panel, drawn, unit)


def _unit(panel: Mapping[str, Any]) -> str:
    unit = str(panel["fieldConfig"]["defaults"].get("unit", ""))
    return unit.removeprefix("suffix:").strip()


def _numbers(axes: Axes, panel: Mapping[str, Any], drawn: Drawn, unit: str) -> None:
    """The last value of each, in the colour of its step."""
    axes.set_axis_off()
    for at, (legend, one) in enumerate(drawn):
        value = one.points[-1][1]
        across = (at + 0.5) / len(drawn)
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        colour = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
        axes.text(across, 0.6, _said(value, unit), color=NAMED[colour], fontsize=15, ha="center", va="center")
        axes.text(across, 0.1, legend, color=FAINT, fontsize=7, ha="center", va="center")


def _lines(axes: Axes, panel: Mapping[str, Any], drawn: Drawn, unit: str) -> None:
    for (legend, one), colour in zip(drawn[:MOST_LINES], COLOURS, strict=False):
        times = [at for at, _ in one.points]
        label = f"{legend} {_said(one.points[-1][1], unit)}"
        axes.plot(times, [value for _, value in one.points], color=colour, linewidth=1, label=label)
    axes.margins(x=0)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.yaxis.set_major_formatter(lambda value, _: _said(value, unit if len(unit) < 3 or unit == "percentunit" else ""))
    axes.xaxis.set_major_formatter(lambda at, _: datetime.fromtimestamp(at, UTC).strftime("%H:%M"))
    axes.tick_params(colors=FAINT, labelsize=6.5, length=0)
    axes.grid(color="#2c3235", linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.02, -0.08), ncols=4, fontsize=6, frameon=False, labelcolor=INK, handlelength=1
    )


def _words(axes: Axes, text: str, colour: str, size: int) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, color=colour, fontsize=size, ha="center", va="center")


def _said(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit in ("bytes", "Bps"):
        return f"{value / 2**20:.3g} MiB" + ("/s" if unit == "Bps" else "")
    if unit == "s" and 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text if unit in ("short", "") else f"{text} {unit}"
