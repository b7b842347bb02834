"""``python -m infra.local``: the farm of this machine from the command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import typer
from rich.console import Console
from rich.table import Table

from infra.local import agents, dead_commands, engine, farm, farmfile, supervision, words
from infra.local.failure import FarmError
from infra.local.infrastructure import INFRASTRUCTURE
from infra.local.layout import Layout
from infra.local.programs import Program
from infra.local.services import services

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(dead_commands.app, name="dead")
Folder = Annotated[Path | None, typer.Option("--dir", help="farm folder; else FARM_DIR, else .farm")]


class Only(StrEnum):
    ALL = farm.ALL
    INFRA = farm.INFRA


@app.command()
def up(folder: Folder = None, only: Only = Only.ALL) -> None:
    """Start the farm and wait until every part is ready."""
    farm.up(Layout.of(folder), only, say=_say)


@app.command()
def down(folder: Folder = None, remove: Annotated[bool, typer.Option(help="delete its folder too")] = False) -> None:
    """Stop the farm; nothing is left running."""
    farm.down(Layout.of(folder), say=_say, remove=remove)


@app.command()
def topology(folder: Folder = None) -> None:
    """Bring the broker to what contracts.topology says."""
    farm.topology(farmfile.read(_running(folder)))


@app.command()
def status(folder: Folder = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show every program of the farm; exit 1 when one is not running."""
    rows = _rows(Layout.of(folder))
    if as_json:
        _say(json.dumps(rows))
    else:
        _show(rows)
    raise typer.Exit(0 if rows and all(row["state"] == "RUNNING" for row in rows) else 1)


@app.command()
def logs(name: Annotated[str | None, typer.Argument()] = None, folder: Folder = None, follow: bool = True) -> None:
    """Show the logs of one program, or of all."""
    layout = Layout.of(folder)
    files = [layout.log(name)] if name else sorted(layout.logs.glob("*.log"))
    if not files or not files[0].exists():
        raise FarmError(name or "farm", "has no log", layout.logs, "see `python -m infra.local status`")
    words = ["tail", "-n", "40", *(["-F"] if follow else []), *map(str, files)]
    try:
        raise typer.Exit(subprocess.run(words, check=False).returncode)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def lend(
    agent: Annotated[str, typer.Argument(help="id of the new agent: small letters, digits, dashes")],
    owner: Annotated[str, typer.Option(help="id of the account that earns")],
    cpus: Annotated[float, typer.Option(help="CPUs that its containers may use; 0 is all")] = 0.0,
    folder: Folder = None,
) -> None:
    """Enrol one more agent for an account and run it here, under the farm's supervisor."""
    farm.join(_running(folder), [agents.Lent(agent, owner, agent, cpus=cpus)], say=_say)


@app.command()
def release(
    agent: Annotated[str, typer.Argument(help="id of an agent in quarantine")],
    reason: Annotated[str, typer.Option(help="kept with the agent")] = "the operator's word",
    folder: Folder = None,
) -> None:
    """Let an agent out of quarantine, under the secret it had."""
    agents.release(farmfile.read(_running(folder)), agent, reason)
    _say(f"{agent} is let in again and comes back by itself")


@app.command()
def quotes(
    most: Annotated[int, typer.Option(help="so many, the newest first", min=1)] = 50,
    plots: Annotated[Path | None, typer.Option(help="folder for a picture of each: curve, band, and what was measured")] = None,
    folder: Folder = None,
) -> None:
    """Show how good the farm's last quotes were: quoted work against what the frames were measured to cost."""
    drawn = [] if plots is None else ["--plots", str(plots.absolute())]
    farm_file = farmfile.read(_running(folder))
    _say(words.say(farm_file, "report of quotes", words.OUTCOMES, "--most", str(most), *drawn).rstrip())


@app.command()
def letters(
    days: Annotated[int, typer.Option(help="what was last tried longer ago stays as it is", min=1)] = 14,
    folder: Folder = None,
) -> None:
    """Send the mails that were given up, once the mail server is back."""
    _say(words.say(farmfile.read(_running(folder)), "sending letters again", words.AGAIN, "--days", str(days)).rstrip())


@app.command(context_settings={"ignore_unknown_options": True})
def add(
    name: str,
    command: list[str],
    folder: Folder = None,
    env: Annotated[list[str] | None, typer.Option(help="NAME=value, may be repeated")] = None,
) -> None:
    """Run one more program under the farm's supervisor, e.g. an agent: add NAME --env A=b -- /path/to/program words."""
    layout = _running(folder)
    program = Program(name, tuple(command), dict(pair.split("=", 1) for pair in env or ()), directory=Path.cwd())
    supervision.add_program(layout, program)
    supervision.start(layout, name)


@app.command()
def remove(name: str, folder: Folder = None) -> None:
    """Stop a program that was added and forget it."""
    supervision.remove_program(_running(folder), name)


def _running(folder: Path | None) -> Layout:
    return supervision.needed(Layout.of(folder))


def _rows(layout: Layout) -> list[dict[str, str | int]]:
    """The programs in the order they start, with the addresses that are known."""
    states = supervision.states(layout)
    if not states:
        return []
    told = farmfile.read(layout)
    parts = [*(build(layout, told) for build in INFRASTRUCTURE), *services(layout, told)]
    addresses = {part.program.name: part.address for part in parts}
    return [_row(info, addresses) for info in states.values()]


def _row(info: dict[str, object], addresses: dict[str, str]) -> dict[str, str | int]:
    name = str(info["name"])
    address = addresses.get(name, "")
    port = address.split(" ")[0].rpartition(":")[2]
    return {"program": name, "state": str(info["statename"]), "pid": str(info["pid"]), "port": port, "address": address}


def _show(rows: Sequence[dict[str, str | int]]) -> None:
    if not rows:
        _say("no farm runs here; start one with `make up`")
        return
    table = Table("program", "state", "pid", "port", "address", box=None)
    for row in rows:
        colour = "green" if row["state"] == "RUNNING" else "red"
        table.add_row(str(row["program"]), f"[{colour}]{row['state']}", *(str(row[key]) for key in ("pid", "port", "address")))
    table.add_row("docker", "[green]RUNNING" if engine.answers() else "[red]AWAY", "", "", engine.host())
    Console().print(table)


def _say(text: str) -> None:
    """A reader that went away (``| head``) must not keep a farm from being stopped."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


def main() -> None:
    """A SIGTERM ends this program as Ctrl-C does: what it started is stopped again."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except FarmError as problem:
        _ended(problem)
    except (ConnectionError, httpx.TransportError) as away:
        _ended(FarmError("farm", f"a part of it does not answer ({type(away).__name__})", advice="see `make status` for which"))
    except xmlrpc.client.Fault as refused:
        _ended(FarmError("supervisor", refused.faultString, advice="see `make status` for what runs"))


def _ended(problem: FarmError) -> NoReturn:
    print(problem, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    os.umask(0o022)
    main()
