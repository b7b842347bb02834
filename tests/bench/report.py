"""The one form of benchmarks: a table for people, build/bench/NAME.json for machines."""

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

FOLDER = Path("build/bench")


@dataclass(frozen=True)
class Row:
    """One measure: median with spread, beside its baseline where it has one. `ratio` is value ÷ baseline_value."""

    measure: str
    unit: str
    value: float
    low: float
    high: float
    repeats: int
    baseline: str = ""
    baseline_value: float | None = None
    ratio: float | None = None
    better: Literal["higher", "lower"] = "lower"
    note: str = ""


def row(
    measure: str,
    unit: str,
    values: Sequence[float],
    *,
    baseline: str = "",
    against: Sequence[float] = (),
    better: Literal["higher", "lower"] = "lower",
    note: str = "",
) -> Row:
    """A row from the repeats of subject and baseline, which were run interleaved."""
    median = statistics.median(values)
    base = statistics.median(against) if against else None
    ratio = median / base if base else None
    return Row(measure, unit, median, min(values), max(values), len(values), baseline, base, ratio, better, note)


def publish(name: str, rows: Sequence[Row], faults: Sequence[str] = ()) -> None:
    """Print and write. With `faults`, which make the figures worth nothing, it raises AssertionError afterwards."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = {"name": name, "commit": _commit(), "machine": _machine(), "rows": [asdict(one) for one in rows]}
    if faults:
        document["not_valid"] = list(faults)
    (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    table = Table(title=f"{name}  ({_commit()})")
    for heading in ("measure", "median", "spread", "unit", "baseline", "baseline value", "ratio", "note"):
        table.add_column(heading)
    for one in rows:
        table.add_row(
            one.measure,
            _figure(one.value),
            f"{_figure(one.low)} … {_figure(one.high)} ({one.repeats})",
            one.unit,
            one.baseline,
            _figure(one.baseline_value),
            _figure(one.ratio),
            one.note,
        )
    Console(width=180).print(table)
    assert not faults, f"these figures are not valid: {'; '.join(faults)}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _commit() -> str:
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()


def _machine() -> dict[str, int]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": os.cpu_count() or 1, "memory_gib": round(memory / 2**30)}
