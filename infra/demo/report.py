"""What the demo leaves behind: `build/demo/` with pictures, film, bill, mail, the quote's plot and `report.json`."""

from __future__ import annotations

import email
import email.policy
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framelend.models import Job
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from rich.console import Console
from rich.table import Table

from contracts.events import JobEstimated
from contracts.values import MICRO
from infra.demo import plots
from infra.demo.cast import Person
from infra.demo.play import Times
from infra.demo.witness import Witness
from infra.local.agents import HOUSE
from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile

ASKED = 48
AUDIT_WAIT_SECONDS = 90
MAIL_WAIT_SECONDS = 30
FILES = ("frames.zip", "film.mp4", "contact-sheet.png", "invoice.json", "quote.png")
LETTERS = ("Quote for job", "is ready to download", "Invoice for job")
"""What a renter is written about a job that goes well, by its subject."""
LEDGER_SUM, MISMATCHES = "framelend_billing_ledger_sum", "framelend_billing_mismatches"
console = Console()


@dataclass(frozen=True)
class Books:
    """What a check of all postings found; `wrong` counts balances that they do not bear out."""

    ledger_sum_micro: int
    wrong: int


@dataclass(frozen=True)
class Brought:
    """What the folder has for the renter: the names of pictures and files, the letters' subjects."""

    pictures: tuple[str, ...]
    files: tuple[str, ...]
    letters: tuple[str, ...]


def write(folder: Path, farm: FarmFile, job: Job, witness: Witness, renter: Person, times: Times) -> dict[str, Any]:
    """Everything but `report.json`, which is `keep`'s; returns the report."""
    estimate = next((fact for _, fact in witness.said(JobEstimated) if fact.job == job.id), None)
    if estimate is None:
        raise FarmError("the witness", "did not hear what the job was estimated at", advice="see `make logs NAME=scheduler`")
    plots.quote(estimate, witness.measured(job.id), folder / "quote.png")
    _invoice(folder, job)
    books = audited(farm)
    letters = _mail(folder, farm, renter)
    return told(job, witness, estimate, times, books, brought(folder, letters))


def keep(folder: Path, report: Mapping[str, Any], times: Times) -> None:
    """All of it, with how long everything took in the end."""
    seconds = {**report["seconds"], "total": times.marks["done"]}
    whole = {**report, "ok": not faults(report), "seconds": seconds, "steps": times.marks}
    (folder / "report.json").write_text(json.dumps(whole, indent=1) + "\n")


def brought(folder: Path, letters: tuple[str, ...]) -> Brought:
    """An empty file is none."""
    pictures = tuple(sorted(path.name for path in (folder / "frames").glob("*") if path.stat().st_size))
    files = tuple(name for name in FILES if (folder / name).is_file() and (folder / name).stat().st_size)
    return Brought(pictures, files, letters)


def faults(report: Mapping[str, Any]) -> list[str]:
    """Why this demo has failed although its job ended; empty when all is well."""
    frames, ledger = report["frames"], report["ledger_sum_micro"]
    counted = sum(one["frames"] for one in report["agents"])
    lacking = [name for name in FILES if name not in report["files"]]
    unwritten = [words for words in LETTERS if not any(words in subject for subject in report["letters"])]
    found = {
        f"{', '.join(lacking)} is not there": bool(lacking),
        f"{report['pictures']} of {frames['stored']} pictures are there": report["pictures"] != frames["stored"],
        f"no letter said {', nor '.join(map(repr, unwritten))}": bool(unwritten),
        f"{frames['asked'] - frames['stored']} frames are missing": frames["stored"] != frames["asked"],
        f"its agents account for {counted} of {frames['stored']} frames": counted != frames["stored"],
        f"{frames['measured']} of {frames['stored']} frames were measured": frames["measured"] != frames["stored"],
        f"the ledger sums to {ledger} micro-credits instead of 0": ledger != 0,
        f"{report['balances_wrong']} balances are not what the postings say": report["balances_wrong"] != 0,
        f"{len(report.get('dashboard_silent', ()))} queries of the dashboard have no data": bool(report.get("dashboard_silent")),
    }
    return [text for text, is_so in found.items() if is_so]


def told(job: Job, witness: Witness, estimate: JobEstimated, times: Times, books: Books, folder: Brought) -> dict[str, Any]:
    """The report of a job that is settled, but for what `keep` adds. Whether all is well is judged by `faults`."""
    assert job.settlement is not None, "the demo waits for the bill"
    quoted, measured = [frame for r in estimate.frames for frame in r], witness.measured(job.id)
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
        "seconds": {"setup": times.marks["set up"], "first_picture": times.marks["first picture"]},
        "frames": {
            "asked": ASKED,
            "stored": job.stored,
            "rendered_twice": witness.rendered_twice(job.id),
            "measured": len(measured),
        },
        "agents": agents,
        "speed_ratio": _ratios([one for one in agents if one["id"] != HOUSE.agent]),
        "price_micro": int(job.quote.price * MICRO) if job.quote else 0,
        "charged_micro": int(job.settlement.charged * MICRO),
        "ledger_sum_micro": books.ledger_sum_micro,
        "balances_wrong": books.wrong,
        "quote": {
            "expected_wu": estimate.micro_wu.expected / MICRO,
            "low_wu": estimate.micro_wu.low / MICRO,
            "high_wu": estimate.micro_wu.high / MICRO,
            "measured_wu": sum(measured.get(frame, 0) for frame in quoted) / MICRO,
        },
        "pictures": len(folder.pictures),
        "files": list(folder.files),
        "letters": list(folder.letters),
    }


def _ratios(lent: list[dict[str, Any]]) -> dict[str, float]:
    """Fastest lender ÷ slowest, by the speed the scheduler learned and by their frames' wall time; 0 unless two have one."""
    told: dict[str, float] = {}
    for name in ("wupm_learned", "wupm_by_wall"):
        speeds = [one[name] for one in lent if one[name]]
        told[name] = round(max(speeds) / min(speeds), 2) if len(speeds) > 1 else 0.0
    return told


def audited(farm: FarmFile) -> Books:
    """What billing finds in its books when it looks at all of them from now on. Raises FarmError when it does not look."""
    address, until = f"{farm.http('BILLING')}/metrics", time.monotonic() + AUDIT_WAIT_SECONDS
    before = _checks(_samples(address))
    while _checks(now := _samples(address)) < before + 2:  # the one under way may have begun before the last posting
        if time.monotonic() > until:
            raise FarmError(
                "billing", f"has not checked its books for {AUDIT_WAIT_SECONDS} s", advice="see `make logs NAME=billing`"
            )
        time.sleep(0.5)
    return Books(int(_figure(now, LEDGER_SUM)), int(_figure(now, MISMATCHES)))


def _samples(address: str) -> list[Sample]:
    with urllib.request.urlopen(address, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return [sample for family in families for sample in family.samples]


def _checks(samples: list[Sample]) -> float:
    return _figure(samples, "framelend_sweeps_total", sweep="the books are checked", outcome="done")


def _figure(samples: list[Sample], name: str, **labels: str) -> float:
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def _invoice(folder: Path, job: Job) -> None:
    assert job.settlement is not None, "the demo waits for the bill"
    (folder / "invoice.json").write_text(job.settlement.model_dump_json(indent=1) + "\n")


def _mail(folder: Path, farm: FarmFile, renter: Person) -> tuple[str, ...]:
    """What the notifier sent to this renter in this run, when the last letter has come or was waited for long enough (the mail
    catcher keeps one file per message); their subjects."""
    until = time.monotonic() + MAIL_WAIT_SECONDS
    while len(found := _letters(Path(farm["FARM_MAIL_DIR"]), renter)) < len(LETTERS) and time.monotonic() < until:
        time.sleep(0.5)
    (folder / "mail").mkdir()
    for path in found:
        shutil.copy(path, folder / "mail")
    return tuple(found.values())


def _letters(catcher: Path, renter: Person) -> dict[Path, str]:
    texts = {path: path.read_bytes() for path in sorted(catcher.glob("*.eml"))}
    mine = {path: text for path, text in texts.items() if renter.email.encode() in text}
    return {path: str(email.message_from_bytes(text, policy=email.policy.default)["Subject"]) for path, text in mine.items()}


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
