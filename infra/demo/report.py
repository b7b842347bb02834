"""What the demo leaves behind: `build/demo/` with pictures, film, bill, mail, the quote's plot and `report.json`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framelend.models import Job
from rich.console import Console
from rich.table import Table

from contracts.events import JobEstimated
from contracts.values import MICRO
from infra.demo import plots
from infra.demo.cast import Person
from infra.demo.play import Times
from infra.demo.witness import Witness
from infra.local.agents import HOUSE
from infra.local.farmfile import FarmFile

ASKED = 48
console = Console()


def write(
    folder: Path, farm: FarmFile, job: Job, witness: Witness, owners: Mapping[str, Person], renter: Person, times: Times
) -> dict[str, Any]:
    """Everything; returns the report."""
    estimate = next(fact for _, fact in witness.said(JobEstimated) if fact.job == job.id)
    measured = witness.measured(job.id)
    plots.quote(estimate, measured, folder / "quote.png")
    _invoice(folder, job)
    _mail(folder, farm, renter)
    report = _report(farm, job, witness, estimate, measured, times)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def _report(
    farm: FarmFile, job: Job, witness: Witness, estimate: JobEstimated, measured: Mapping[int, int], times: Times
) -> dict[str, Any]:
    assert job.settlement is not None, "the demo waits for the bill"
    quoted = [frame for r in estimate.frames for frame in r]
    earned = {line.agent: line for line in job.agents}
    speeds, learned = witness.seconds(job.id), witness.learned()
    agents = [
        {
            "id": agent,
            "frames": earned[agent].stored if agent in earned else 0,
            "wu": wu / MICRO,
            "wall_seconds": round(wall, 1),
            "wupm_learned": learned.get(agent, 0) / MICRO,
            "wupm_by_wall": round(wu / MICRO / wall * 60, 2) if wall else 0,
            "earned_micro": int(earned[agent].earned * MICRO) if agent in earned else 0,
        }
        for agent, (wall, wu) in sorted(speeds.items())
    ]
    return {
        "commit": _commit(),
        "ok": job.stored == ASKED,
        "seconds": {"setup": times.marks["set up"], "first_picture": times.marks["first picture"], "total": times.marks["done"]},
        "frames": {"asked": ASKED, "stored": job.stored, "rendered_twice": witness.rendered_twice(job.id)},
        "agents": agents,
        "speed_ratio": _ratios([one for one in agents if one["id"] != HOUSE.agent]),
        "price_micro": int(job.quote.price * MICRO) if job.quote else 0,
        "charged_micro": int(job.settlement.charged * MICRO),
        "ledger_sum_micro": ledger_sum(farm),
        "quote": {
            "expected_wu": estimate.micro_wu.expected / MICRO,
            "low_wu": estimate.micro_wu.low / MICRO,
            "high_wu": estimate.micro_wu.high / MICRO,
            "measured_wu": sum(measured.get(frame, 0) for frame in quoted) / MICRO,
        },
        "steps": times.marks,
    }


def _ratios(lent: list[dict[str, Any]]) -> dict[str, float]:
    """Fastest lender ÷ slowest, by the speed the scheduler learned and by the wall time of their frames."""
    told: dict[str, float] = {}
    for name in ("wupm_learned", "wupm_by_wall"):
        speeds = [one[name] for one in lent if one[name]]
        told[name] = round(max(speeds) / min(speeds), 2) if speeds else 0.0
    return told


def ledger_sum(farm: FarmFile) -> int:
    """Of all postings of the farm, as billing's own metric tells it; must be 0."""
    with urllib.request.urlopen(f"{farm.http('BILLING')}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r"^framelend_billing_ledger_sum\S* (\S+)$", text, re.MULTILINE)
    if found is None:
        raise LookupError("billing does not tell its ledger's sum")
    return int(float(found.group(1)))


def _invoice(folder: Path, job: Job) -> None:
    assert job.settlement is not None, "the demo waits for the bill"
    (folder / "invoice.json").write_text(job.settlement.model_dump_json(indent=1) + "\n")


def _mail(folder: Path, farm: FarmFile, renter: Person) -> None:
    """What the notifier sent to this renter in this run (the mail catcher keeps one file per message)."""
    (folder / "mail").mkdir()
    for path in sorted(Path(farm["FARM_MAIL_DIR"]).glob("*.eml")):
        if renter.email.encode() in path.read_bytes():
            shutil.copy(path, folder / "mail")


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def show(report: Mapping[str, Any], job: Job, owners: Mapping[str, Person]) -> None:
    """The bill, the earnings, the two lenders' speeds side by side."""
    assert job.settlement is not None, "the demo waits for the bill"
    bill = Table("bill", "credits", box=None, header_style="bold")
    for line in job.settlement.lines:
        bill.add_row(line.text, str(line.amount))
    bill.add_row("charged in all", str(job.settlement.charged), style="bold")
    console.print(bill)
    lent = Table(
        "agent", "owner", "frames", "work, WU", "WU/min learned", "by wall time", "earned, credits", box=None, header_style="bold"
    )
    for one in report["agents"]:
        owner = "operator" if one["id"] == HOUSE.agent else owners[one["id"]].email if one["id"] in owners else ""
        row = (
            one["id"],
            owner,
            one["frames"],
            f"{one['wu']:.1f}",
            f"{one['wupm_learned']:.1f}",
            f"{one['wupm_by_wall']:.1f}",
            f"{one['earned_micro'] / MICRO:.6f}",
        )
        lent.add_row(*map(str, row))
    console.print(lent)
    ratio = report["speed_ratio"]
    told = f"{ratio['wupm_learned']} as learned, {ratio['wupm_by_wall']} by the wall time of their frames"
    console.print(f"\n  the faster lender is to the slower as {told} : 1", highlight=False)
