"""What the renter does, exactly as any renter would: bundle, upload, findings, quote, accept, watch, download."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from framelend import Client, bundling, fetching, live
from framelend.models import Job
from rich.console import Console

from infra.local.failure import FarmError

PRICE_PER_WU = "0.02"
FRAMES = "1-48"
ASK_SECONDS = 20
ASKED = frozenset({"requoting"})
console = Console()


@dataclass
class Times:
    """Seconds since the command was typed."""

    began: float
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str, at: float | None = None) -> None:
        """Now, or `at` in seconds since the epoch."""
        self.marks.setdefault(name, round((time.time() if at is None else at) - self.began, 1))


def submit(renter: Client, scene: Path, work: Path) -> Job:
    """The bundle is made, sent and accepted by storage; the job is submitted."""
    bundle = bundling.pack(bundling.gather(scene.parent), work / f"bundle-{secrets.token_hex(4)}.zip")
    console.print(f"  bundle       {bundle.path.name}: {bundle.path.stat().st_size:,} bytes, sha256 {bundle.sha256[:12]}…")
    upload = renter.upload(bundle.path)
    if upload.state != "stored":
        raise FarmError("upload", f"{upload.state}: {upload.text}", advice="see the log of storage")
    job = renter.submit(upload.sha256, PRICE_PER_WU, frames=FRAMES, name="Breathing field")
    console.print(f"  submitted    job {job.id}, {job.asked_frames or 'the file’s own frames'}, {PRICE_PER_WU} credits per WU")
    return job


def quoted(renter: Client, job: Job, times: Times) -> Job:
    """Waits through inspection and sampling; prints findings and the quote. Raises FarmError when there will be none."""
    last = live.watch(renter, job.id, frozenset({"quoted"}))
    if last.state != "quoted":
        raise FarmError("the job", f"{last.state}: {last.reason}", advice="see `make logs NAME=scheduler`")
    last = renter.until(job.id, lambda one: one.quote is not None, ASK_SECONDS)
    times.mark("quoted")
    for finding in last.findings:
        console.print(f"  {finding.severity:<12} {finding.text}")
    if last.quote is None:
        raise FarmError("the quote", "billing made no price", advice="see `make logs NAME=billing`")
    quote = last.quote
    for line in quote.lines:
        console.print(f"               {line.text:<46} {line.amount:>12}")
    console.print(f"  quote        {quote.price} credits, firm; {quote.seconds.low:.0f}–{quote.seconds.high:.0f} s")
    return last


def rendered(renter: Client, job: Job, times: Times) -> Job:
    """Accepts, watches to the end. Raises FarmError when the job does not complete and settle."""
    assert job.quote is not None, "only a quoted job is accepted"
    told = renter.timeline(job.id)
    renter.accept(job.id, job.quote.version)
    times.mark("accepted")
    last = live.watch(renter, job.id, ASKED, after=told[-1].number if told else 0)
    while last.state in ASKED:
        last = _asked_again(renter, last)
    times.mark("completed")
    if not last.succeeded or last.settlement is None:
        raise FarmError("the job", f"{last.state}: {last.reason}", advice="see `make logs NAME=scheduler`")
    return last


def _asked_again(renter: Client, job: Job) -> Job:
    """On a machine that others keep busy frames may cost far more work than quoted: the price of those left is accepted, too."""
    told = renter.timeline(job.id)
    asked = renter.until(job.id, lambda one: one.state not in ASKED or (one.quote is not None and one.quote.open), ASK_SECONDS)
    if asked.state in ASKED and asked.quote is not None:
        console.print(f"  asked again  {asked.reason}: {asked.quote.price} credits, accepted")
        renter.accept(job.id, asked.quote.version)
        renter.until(job.id, lambda one: one.state not in ASKED, ASK_SECONDS)
    return live.watch(renter, job.id, ASKED, after=told[-1].number if told else 0)


def downloaded(renter: Client, job: Job, folder: Path) -> None:
    """Every frame, the ZIP, the film and the contact sheet, each checked against its hash."""
    frames = [f"frames/{number}" for number in fetching.frame_numbers(renter.frames(job.id).stored)]
    fetching.fetch(renter, job.id, frames, folder / "frames", _quietly)
    fetching.fetch(renter, job.id, [file.name for file in job.files], folder, _quietly)


def _quietly(path: Path, size: int) -> None:
    """The folder is told at the end."""
