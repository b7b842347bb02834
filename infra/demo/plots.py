"""`quote.png`: the sampled points, the band of the quote, and afterwards what every frame really cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

from contracts.events import JobEstimated
from contracts.values import MICRO, frames

matplotlib.use("Agg")
INK, QUOTED, MEASURED = "#22303c", "#3d7ea6", "#e07a3f"


def quote(estimate: JobEstimated, measured: Mapping[int, int], path: Path) -> None:
    """Writes the picture. `measured` maps frame → micro-WU."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.2), dpi=130)
    knots = estimate.curve.knots
    timeline = sorted({*frames(estimate.frames), *(knot.frame for knot in knots)})
    expected = [estimate.curve.wu(frame) / MICRO for frame in timeline]
    low = estimate.micro_wu.low / max(estimate.micro_wu.expected, 1)
    high = estimate.micro_wu.high / max(estimate.micro_wu.expected, 1)
    axes.fill_between(
        timeline, [y * low for y in expected], [y * high for y in expected], color=QUOTED, alpha=0.15, lw=0, label="band"
    )
    axes.plot(timeline, expected, color=QUOTED, lw=2, label="quoted: firm price follows this line")
    axes.scatter(
        sorted(measured),
        [measured[frame] / MICRO for frame in sorted(measured)],
        s=16,
        color=MEASURED,
        label="measured, every frame",
        zorder=3,
    )
    axes.scatter([k.frame for k in knots], [k.micro_wu / MICRO for k in knots], s=70, color=INK, label="sampled frames", zorder=4)
    axes.set(xlabel="frame", ylabel="work, WU (reference CPU seconds)", ylim=(0, None))
    axes.set_title("The quote against what every frame really cost", loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
