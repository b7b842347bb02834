"""`python -m infra.local dead list|show|replay|drop SERVICE [ID]`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from contracts.topology import SERVICES
from infra.local import dead, farmfile, supervision
from infra.local.failure import FarmError
from infra.local.layout import Layout

app = typer.Typer(no_args_is_help=True, help="What no service could handle, with its story.")
Service = Annotated[str, typer.Argument(help="intake, scheduler, storage, billing or notifier")]
Which = Annotated[str, typer.Argument(help="a message id, or `all`")]


@app.command("list")
def list_(service: Service) -> None:
    """One line per dead letter, without its body."""
    letters = asyncio.run(dead.listed(_farm(service), service))
    print(dead.lines(letters) or f"{service} has no dead letters")


@app.command()
def show(service: Service, which: Which) -> None:
    """All there is to know, with the body."""
    for letter in asyncio.run(dead.listed(_farm(service), service)):
        if which in (letter.id, "all"):
            print(json.dumps(vars(letter), indent=2))


@app.command()
def replay(service: Service, which: Which) -> None:
    """Send to its inbox again."""
    print(f"{asyncio.run(dead.replay(_farm(service), service, lambda one: which in (one.id, 'all')))} replayed")


@app.command()
def drop(service: Service, which: Which) -> None:
    """Forget."""
    print(f"{asyncio.run(dead.drop(_farm(service), service, lambda one: which in (one.id, 'all')))} dropped")


def _farm(service: str) -> farmfile.FarmFile:
    if service not in SERVICES:
        raise FarmError("dead letters", f"no service is called {service!r}", advice=f"choose one of {', '.join(SERVICES)}")
    return farmfile.read(supervision.needed(Layout.of()))
