"""`framelend submit`: bundle, upload, findings, quote, and on request accept and watch."""

import sys
import tempfile
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from framelend import config, live, showing
from framelend.bundling import Contents, gather, pack
from framelend.client import Client, fresh_key
from framelend.models import Job, Upload
from framelend.problems import LocalProblem
from framelend.reading import MOMENT, amount, frame_list, if_said, moment
from framelend.session import Json, connected
from framelend.terminal import JOB_ENDED_BADLY, NOT_ACCEPTED, NOT_HELD_YET, credits, err, fail, out, plain, print_json, size


class Allowed(StrEnum):
    OWN = "own"
    NAMED = "named"
    TRUSTED = "trusted"
    ANYONE = "anyone"


HOLD_SECONDS = 20.0
DECIDED = frozenset({"quoted", "completed", "failed", "cancelled", "expired", "declined", "purged"})


def submit(
    source: Annotated[Path, typer.Argument(metavar="FILE.blend|FOLDER", help="What to render.")],
    frames: Annotated[str | None, typer.Option(help='Like "1-48,60,100-200x2"; left out: the file\'s own range.')] = None,
    assets: Annotated[list[Path] | None, typer.Option(help="Folder or file the .blend needs; may be given again.")] = None,
    blend: Annotated[str | None, typer.Option(help="Which .blend of a folder that holds several.")] = None,
    name: Annotated[str | None, typer.Option(help="What you call the job.")] = None,
    price: Annotated[str, typer.Option(help="Your bid: credits per WU (a CPU second of the reference machine).")] = "0.01",
    max_cost: Annotated[str | None, typer.Option(help="Accept no quote above so many credits; samples are paid anyway.")] = None,
    deadline: Annotated[str | None, typer.Option(help=f"When you need it, e.g. {MOMENT}.")] = None,
    start_at: Annotated[str | None, typer.Option(help=f"Render no frame before, but for samples; e.g. {MOMENT}.")] = None,
    priority: Annotated[int | None, typer.Option(min=-100, max=100, help="Among your own jobs of the same bid.")] = None,
    allow: Annotated[
        list[Allowed] | None, typer.Option(help="Whom you let render, whom you like best first; may be given again.")
    ] = None,
    lender: Annotated[list[str] | None, typer.Option(help="Account or agent that `--allow named` means.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="First and last frame, the middle, then filling in.")] = False,
    samples: Annotated[int | None, typer.Option(help="Render samples, if other than in the file.")] = None,
    percentage: Annotated[int | None, typer.Option(help="Resolution in percent, if other than in the file.")] = None,
    camera: Annotated[str | None, typer.Option(help="Camera, if other than in the file.")] = None,
    apply: Annotated[list[str] | None, typer.Option(help="Change that findings name, e.g. render-with-cycles; again.")] = None,
    accept: Annotated[str | None, typer.Option("--accept", help="Accept the quote if it is at most this many credits.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the quote whatever it is (--max-cost still holds).")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Watch the job until it ends.")] = False,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: the same one never submits twice.")] = None,
    json: Json = False,
) -> None:
    """Send a .blend to the farm, see findings and a firm price."""
    settings = {"samples": samples, "percentage": percentage, "camera": camera, "changes": apply or None}
    asked: dict[str, Any] = {
        "price_per_wu": amount(price), "max_cost": if_said(amount, max_cost),
        "frames": if_said(frame_list, frames), "name": name, "priority": priority,
        "deadline": if_said(moment, deadline), "start_at": if_said(moment, start_at),
        "settings": {what: value for what, value in settings.items() if value is not None},
        "order": "preview" if preview else None,
        "allows": _allowed(allow or [], lender or []),
        "lenders": lender or [],
        "key": key or fresh_key(),
    }  # fmt: skip
    limit = if_said(amount, accept)
    contents = gather(source, assets or (), blend)
    with connected() as client:
        upload = sent(client, contents)
        job = client.submit(upload.sha256, blend=contents.blend, **asked)
        err.print(f"Job [bold]{job.id}[/] is submitted. The farm inspects the file and renders samples …")
        job = _quoted(client, job, json)
        job = _answered(client, job, yes=yes, limit=limit, ask=not json, needed=watch)
        if watch:
            job = live.watch_lines(client, job.id) if json else live.watch(client, job.id)
    _told(job, json, watch)


def sent(client: Client, contents: Contents) -> Upload:
    """The bundle packed, sent, and verified by the farm. Raises LocalProblem when it was rejected."""
    err.print(f"Packing {len(contents.files)} files, {size(contents.bytes)} …")
    columns = ("Sending", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="framelend-") as folder, Progress(*columns, console=err) as progress:
        bundle = pack(contents, Path(folder) / "bundle.zip")
        task = progress.add_task("", total=bundle.bytes)
        upload = client.upload(
            bundle.path, lambda done, of: progress.update(task, completed=done, total=of), config.memory_folder()
        )
    if upload.state == "rejected":
        raise LocalProblem(f"The farm rejected the bundle: {upload.text}")
    return upload


def accept_quote(client: Client, job: Job, seconds: float = HOLD_SECONDS) -> Job:
    """Waits so long for its price to be held; `unheld` tells whether it still is not. Raises typer.Exit when there is no quote,
    the money was refused or the job is over."""
    if job.quote is None:
        fail(f"There is no quote to accept: the job is {job.state}. {job.reason}", JOB_ENDED_BADLY)
    client.accept(job.id, job.quote.version)
    found = client.until(job.id, lambda one: _is_held(one) or one.refusal is not None or one.ended, seconds)
    if found.refusal is not None:
        fail(found.refusal.text, NOT_ACCEPTED)
    if found.ended and not found.succeeded:
        fail(f"The job is {found.state}. {found.reason}", JOB_ENDED_BADLY)
    price = credits(job.quote.price)
    if unheld(found):
        err.print(f"Accepted. The farm has not held the {price} credits yet: it begins once it has.")
    else:
        err.print(f"Accepted: {price} credits are held.")
    return found


def unheld(job: Job) -> bool:
    """Accepted, and it is not known yet whether there is money for it."""
    return job.quote is not None and job.quote.answer == "accepted" and not (_is_held(job) or job.ended)


def _is_held(job: Job) -> bool:
    """A job that was asked a further time has credits held already."""
    return job.held > 0 and job.state != "requoting"


def _quoted(client: Client, job: Job, json: bool) -> Job:
    """Waits for findings and quote, and shows them as they come."""
    with err.status("inspecting …") as status:
        shown = False
        while not (job.quote is not None or job.state in DECIDED or job.refusal is not None):
            job = client.job(job.id, wait=20, after=job.revision)
            status.update(f"{job.state} … {plain(job.reason)}")
            if job.findings and not shown and not json:
                shown = True
                showing.inspection(job)
    if job.refusal is not None:
        fail(job.refusal.text, NOT_ACCEPTED)
    if job.quote is not None and not json:
        showing.quote(job, job.quote)
    return job


def _answered(client: Client, job: Job, *, yes: bool, limit: Decimal | None, ask: bool, needed: bool) -> Job:
    """The quote accepted, if so it was said before or is said now; whether it must be."""
    if yes or (limit is not None and _within(job, limit)) or (limit is None and ask and _agreed(job)):
        return accept_quote(client, job)
    if needed or limit is not None:
        fail(f"The quote is not accepted. Accept it with `framelend accept {job.id}`.", NOT_ACCEPTED)
    return job


def _within(job: Job, limit: Decimal) -> bool:
    return job.quote is not None and job.quote.price <= limit


def _agreed(job: Job) -> bool:
    """Asked only of a person at a terminal."""
    return sys.stdin.isatty() and job.quote is not None and job.quote.open and typer.confirm("Accept it?")


def _told(job: Job, json: bool, watched: bool) -> None:
    if json and not watched:
        print_json(job)
    if job.ended:
        if not json:
            showing.ending(job)
        if not job.succeeded:
            raise typer.Exit(JOB_ENDED_BADLY)
    elif not json and not watched:
        out.print(f"\nLook on with: [bold]framelend watch {job.id}[/]")
    if unheld(job):
        raise typer.Exit(NOT_HELD_YET)


def _allowed(allow: list[Allowed], lenders: list[str]) -> list[str]:
    """Who names lenders and says nothing else lets only them."""
    return [one.value for one in allow] or (["named"] if lenders else [])
