"""A drawing of the dashboard's queries, for where no Grafana runs. It is ours and says so: same JSON, same places, same PromQL
over the same time, but not Grafana."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infra.grafana.queries import COMMITTED, VARIABLES, Series, queries, series

COLUMNS, COLUMN_INCHES, ROW_INCHES = 24, 0.72, 0.36
PAPER, PANEL, INK, FAINT = "#111217", "#181b1f", "#d8d9da", "#8e8e93"
COLOURS = ("#73bf69", "#5794f2", "#f2cc0c", "#ff780a", "#b877d9", "#f2495c", "#8ab8ff", "#ffa6b0", "#96d98d", "#ffcb7d")
NAMED = {"red": "#f2495c", "green": "#73bf69", "text": INK}
MOST_LINES = 10
LEGEND_CHARACTERS = 100
"""Of a panel of 8 columns, in one line."""
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
    axes = figure.add_axes((left + 0.032, bottom + tall * 0.26, width - 0.038, tall * 0.58), facecolor=PANEL)
    axes.set_title(f"{panel['title']}{_in(_unit(panel))}", color=INK, fontsize=9, loc="left", pad=4)
    if not drawn:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no data", color=FAINT, fontsize=11, ha="center", va="center")
    elif panel["type"] == "stat":
        _numbers(axes, panel, drawn)
    else:
        _lines(axes, panel, drawn)


def _numbers(axes: Axes, panel: Mapping[str, Any], drawn: Drawn) -> None:
    """The last value of each, in the colour of its step."""
    axes.set_axis_off()
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    for at, (legend, one) in enumerate(drawn):
        value = one.points[-1][1]
        across = (at + 0.5) / len(drawn)
        colour = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
        axes.text(across, 0.6, _said(value, _unit(panel)), color=NAMED[colour], fontsize=15, ha="center", va="center")
        axes.text(across, 0.1, legend, color=FAINT, fontsize=7, ha="center", va="center")


def _lines(axes: Axes, panel: Mapping[str, Any], drawn: Drawn) -> None:
    unit, floor = _unit(panel), defaultdict[float, float](float)
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal"
    for (legend, one), colour in zip(drawn[:MOST_LINES], COLOURS, strict=False):
        times = [at for at, _ in one.points]
        under = [floor[at] for at in times]
        upper = [below + value for below, (_, value) in zip(under, one.points, strict=True)]
        axes.plot(times, upper, color=colour, linewidth=1, label=f"{legend} {_said(one.points[-1][1], unit)}".strip())
        axes.fill_between(times, under, upper, color=colour, alpha=0.4 if stacked else 0.08, linewidth=0)
        if stacked:
            floor.update(zip(times, upper, strict=True))
    _dress(axes, unit)


def _dress(axes: Axes, unit: str) -> None:
    low, high = axes.dataLim.ymin, axes.dataLim.ymax
    axes.set_ylim(min(0.0, low), high * 1.05 if high > 0 else 1.0)
    axes.margins(x=0)
    axes.yaxis.set_major_formatter(lambda value, _: _said(value, unit))
    axes.xaxis.set_major_formatter(lambda at, _: datetime.fromtimestamp(at, UTC).strftime("%H:%M"))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(colors=FAINT, labelsize=6.5, length=0)
    axes.grid(color="#2c3235", linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    longest = max(len(label) for label in axes.get_legend_handles_labels()[1])
    columns = max(2, min(6, LEGEND_CHARACTERS // (longest + 5)))
    place: dict[str, Any] = {"bbox_to_anchor": (-0.02, -0.1), "ncols": columns}
    axes.legend(loc="upper left", **place, fontsize=6, frameon=False, labelcolor=INK, handlelength=1, columnspacing=1)


def _unit(panel: Mapping[str, Any]) -> str:
    return str(panel["fieldConfig"]["defaults"].get("unit", "")).removeprefix("suffix:").strip()


def _in(unit: str) -> str:
    """What the title says of the unit, unless the numbers say it themselves."""
    return "" if unit in ("short", "percentunit", "bytes", "Bps", "s") else f", {unit}"


def _said(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value:.3g} %" if (value := value * 100) else "0 %"
    if unit in ("bytes", "Bps"):
        power = 2 if abs(value) >= 2**20 else 1
        return f"{value / 1024**power:.3g} {'KM'[power - 1]}iB" + ("/s" if unit == "Bps" else "")
    if unit == "s":
        return f"{value * 1000:.3g} ms" if 0 < abs(value) < 1 else f"{value:.3g} s"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
