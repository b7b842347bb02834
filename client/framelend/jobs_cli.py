"""The renter's commands: submit, quote, accept, watch, download, and steering."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from framelend import live, showing
from framelend.applying import apply
from framelend.client import Client
from framelend.fetching import fetch, frame_numbers
from framelend.models import Job
from framelend.reading import amount, if_said
from framelend.session import JobId, Json, connected
from framelend.submitting import HOLD_SECONDS, accept_quote, submit, unheld
from framelend.terminal import (
    JOB_ENDED_BADLY,
    NOT_ACCEPTED,
    NOT_HELD_YET,
    credits,
    err,
    fail,
    out,
    plain,
    print_json,
    size,
    speaking,
    table,
)


def add_to(app: typer.Typer) -> None:
    """The commands, in the order a renter meets them."""
    app.command()(speaking(submit))
    for command in (quote, apply, accept, decline, watch, frames, download, cancel, pause, resume, jobs):
        app.command()(speaking(command))


def quote(job: JobId, wait: Annotated[float, typer.Option(help="Seconds to wait for a quote.")] = 0, json: Json = False) -> None:
    """Show findings and price of a job."""
    with connected() as client:
        found = client.until(job, lambda one: one.quote is not None or one.ended, wait)
    if json:
        return print_json(found)
    showing.inspection(found)
    if found.quote is not None:
        return showing.quote(found, found.quote)
    out.print(f"No quote yet: the job is {found.state}. {plain(found.reason)}")


def accept(
    job: JobId,
    up_to: Annotated[str | None, typer.Option("--up-to", help="Refuse when the price is above this many credits.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait until its price is held.")] = HOLD_SECONDS,
    json: Json = False,
) -> None:
    """Accept a job's quote: its price is held and the job starts."""
    most = if_said(amount, up_to)
    with connected() as client:
        found = client.job(job)
        if most is not None and found.quote is not None and found.quote.price > most:
            fail(f"Not accepted: the price of {credits(found.quote.price)} credits is above {up_to}.", NOT_ACCEPTED)
        found = accept_quote(client, found, wait)
    if json:
        print_json(found)
    else:
        out.print(f"The job is {found.state}. Look on with: [bold]framelend watch {found.id}[/]")
    if unheld(found):
        raise typer.Exit(NOT_HELD_YET)


def decline(job: JobId, json: Json = False) -> None:
    """Decline a job's quote: only sampling is charged."""
    with connected() as client:
        found = client.job(job)
        if found.quote is None:
            fail(f"The job has no quote yet: it is {found.state}.", NOT_ACCEPTED)
        found = client.decline(job, found.quote.version)
    if json:
        return print_json(found)
    out.print(f"Declined. The job is {found.state}.")


def watch(
    job: JobId,
    link: Annotated[bool, typer.Option("--link", help="Only print a link that opens the job's page in a browser.")] = False,
    json: Json = False,
) -> None:
    """Watch a job until it ends; goes on after a lost connection. With --json: one object per event."""
    with connected() as client:
        if link:
            address = client.page_link(job)
            return print_json({"link": address}) if json else typer.echo(address)
        ended(watched(client, job, json), json)


def watched(client: Client, job: str, json: bool) -> Job:
    if json:
        return live.watch_lines(client, job)
    out.print(f"In a browser: [link]{plain(client.page_link(job))}[/]", soft_wrap=True)
    return live.watch(client, job)


def ended(job: Job, json: bool) -> None:
    """Tells how it ended. Raises typer.Exit when it did not end well."""
    if not json:
        showing.ending(job)
    if job.ended and not job.succeeded and job.state != "purged":
        raise typer.Exit(JOB_ENDED_BADLY)


def frames(job: JobId, json: Json = False) -> None:
    """Which frames are stored, arriving, rendering."""
    with connected() as client:
        found = client.frames(job)
    if json:
        return print_json(found)
    out.print(f"{found.stored_count} of {found.total} frames are stored, {found.arriving_count} are arriving.")
    for name, text in (("stored", found.stored), ("arriving", found.arriving), ("rendering", found.rendering)):
        out.print(f"  [dim]{name:>9}[/] {plain(text) or '–'}")


def download(
    job: JobId,
    to: Annotated[Path | None, typer.Option(help="Folder; left out: one named like the job.")] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="Every stored frame as its own file, also before the job ends.")
    ] = False,
    zip: Annotated[bool, typer.Option("--zip", help="Only the ZIP of all frames.")] = False,
    video: Annotated[bool, typer.Option("--video", help="Only the video.")] = False,
    json: Json = False,
) -> None:
    """Download what the job made; every file is checked against its SHA-256."""
    with connected() as client:
        found = client.job(job)
        names = [f"frames/{n}" for n in frame_numbers(client.frames(job).stored)] if frames else _files(found, zip, video)
        if not names:
            fail(f"There is nothing to download yet: the job is {found.state}. Stored frames come with --frames.", NOT_ACCEPTED)
        folder = to or Path(f"{found.name}-{job[-6:]}".replace("/", "_"))
        with err.status(f"Fetching {len(names)} files …"):
            paths = fetch(client, job, names, folder, lambda path, length: None)
    if json:
        return print_json({"folder": str(folder), "files": [str(path) for path in paths]})
    whole = sum(path.stat().st_size for path in paths)
    out.print(f"{len(paths)} files, {size(whole)}, checked, in [bold]{plain(str(folder))}[/]")


def _files(job: Job, zip: bool, video: bool) -> list[str]:
    wanted = tuple(ending for ending, asked in ((".zip", zip), (".mp4", video)) if asked)
    return [file.name for file in job.files if not wanted or file.name.endswith(wanted)]


def cancel(job: JobId, json: Json = False) -> None:
    """Stop a job for good; finished frames stay paid and yours."""
    _steered(job, Client.cancel, "It is being cancelled.", json)


def pause(job: JobId, json: Json = False) -> None:
    """Stop a job for a while."""
    _steered(job, Client.pause, "It is being paused.", json)


def resume(job: JobId, json: Json = False) -> None:
    """Let a paused job go on."""
    _steered(job, Client.resume, "It goes on.", json)


def _steered(job: str, do: Callable[[Client, str], Job], text: str, json: bool) -> None:
    with connected() as client:
        found = do(client, job)
    if json:
        return print_json(found)
    out.print(text)


def jobs(json: Json = False, limit: Annotated[int, typer.Option(min=1, max=200)] = 20) -> None:
    """My jobs, newest first."""
    with connected() as client:
        found = client.jobs(limit=limit)
    if json:
        return print_json(found)
    rows = table("job", "name", "state", "frames", "charged", "price", "submitted", right=("frames", "charged", "price"))
    for one in found:
        price = credits(one.price) if one.price is not None else "–"
        when = f"{one.submitted_at.astimezone():%Y-%m-%d %H:%M}"
        rows.add_row(one.id, one.name, one.state, f"{one.stored}/{one.total}", credits(one.charged), price, when)
    out.print(rows if found else "No jobs yet: `framelend submit FILE.blend`.")
