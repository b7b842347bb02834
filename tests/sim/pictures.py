"""The simulator's reports: a table of every trial, and plots."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from tests.sim.trial import Trial

FOLDER = Path("build/sim")


def table(trials: Sequence[Trial]) -> None:
    """`build/sim/trials.md`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = [field.name for field in fields(Trial)]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [f"| {' | '.join(_cell(getattr(one, name)) for name in names)} |" for one in trials]
    (FOLDER / "trials.md").write_text("\n".join(lines) + "\n")


def speed_up(times: Mapping[int, float]) -> None:
    """How much faster so many equal agents are than one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    numbers = sorted(times)
    figure, axes = plt.subplots(figsize=(6, 5))
    axes.loglog(numbers, numbers, "--", color="grey", label="ideal")
    axes.loglog(numbers, [times[1] / times[number] for number in numbers], "o-", label="2,000 frames of 10 WU")
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.set(xlabel="agents of equal speed", ylabel="times as fast as one agent")
    axes.legend()
    _save(figure, "speed-up.png")


def ratios(trials: Sequence[Trial]) -> None:
    """Makespan ÷ lower bound over the seeds, beside the naive policy."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    kinds = [(world, policy) for world in ("calm", "rough") for policy in ("ours", "naive")]
    values = [[t.ratio for t in trials if (t.world, t.policy) == kind and t.ratio is not None] for kind in kinds]
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.boxplot(values, tick_labels=[f"{world}, {policy}" for world, policy in kinds])
    axes.axhline(1.0, color="grey", linestyle="--")
    axes.set(ylabel="makespan ÷ lower bound", title="100 agents, 20,000 frames")
    _save(figure, "makespan.png")


def _save(figure: Figure, name: str) -> None:
    figure.tight_layout()
    figure.savefig(FOLDER / name, dpi=110)
    plt.close(figure)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_cell(one) for one in value)
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
