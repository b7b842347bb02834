"""`framelend job`: what a renter changes on a job under way."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from framelend.problems import LocalProblem
from framelend.reading import MOMENT, amount, if_said, moment
from framelend.session import JobId, Json, connected
from framelend.terminal import out, plain, print_json, speaking

DEADLINE = f'Like {MOMENT}; "none" takes it back. One set or moved nearer once the price is accepted orders only your own jobs.'
T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="Change a job under way: bid, limit, deadline, start, priority, frames.")
NONE = "none"


@app.command("set")
@speaking
def set_(
    job: JobId,
    bid: Annotated[str | None, typer.Option(help="Credits per WU; until the job is estimated.")] = None,
    max_cost: Annotated[str | None, typer.Option(help='Until its price is accepted; "none" lifts it.')] = None,
    deadline: Annotated[str | None, typer.Option(help=DEADLINE)] = None,
    start_at: Annotated[str | None, typer.Option(help='Render no frame before; "none": at once.')] = None,
    priority: Annotated[int | None, typer.Option(min=-100, max=100, help="Among your own jobs of the same bid.")] = None,
    json: Json = False,
) -> None:
    """Change what is named, and nothing else."""
    said: dict[str, Any] = {
        "price_per_wu": if_said(amount, bid),
        "max_cost": _unless_none(amount, max_cost),
        "deadline": _unless_none(moment, deadline),
        "start_at": _unless_none(moment, start_at),
        "priority": priority,
    }
    changes = {name: None if value == NONE else value for name, value in said.items() if value is not None}
    if not changes:
        raise LocalProblem("Say what is to change, e.g. --priority 5.")
    with connected() as client:
        found = client.change(job, **changes)
    if json:
        return print_json(found)
    out.print(f"Changed: {', '.join(sorted(changes))}. The job is {found.state}. {plain(found.reason)}")


@app.command("skip")
@speaking
def skip(job: JobId, frames: Annotated[str, typer.Argument(help='Like "5,7-9".')], json: Json = False) -> None:
    """Leave frames out for good: they are not charged, and the job is complete without them."""
    with connected() as client:
        found = client.skip(job, frames)
    if json:
        return print_json(found)
    out.print(f"Left out so far: {plain(found.left_out) or 'nothing, those frames are stored already'}.")


@app.command("retry")
@speaking
def retry(
    job: JobId,
    without: Annotated[str | None, typer.Option(help="Frames to leave out of a new job.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: the same one never submits twice.")] = None,
    json: Json = False,
) -> None:
    """Try again what failed. Of a job that has failed: a new job of the frames it lacks, with a price of its own."""
    retried(job, without, key, json)


def retried(job: str, without: str | None, key: str | None, json: bool) -> None:
    with connected() as client:
        found = client.retry(job, without, key)
    if json:
        return print_json(found)
    if found.id == job:
        return out.print("What failed so far is tried again.")
    out.print(f"Job [bold]{found.id}[/] is submitted for the frames that are missing. See its price: framelend quote {found.id}")


def _unless_none(read: Callable[[str], T], text: str | None) -> T | str | None:
    return NONE if text == NONE else if_said(read, text)
