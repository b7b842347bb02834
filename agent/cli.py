"""`framelend-agent`: the command a lender runs."""

import asyncio
import sys

import typer

from agent import joining
from agent.app import AlreadyRunning, run
from agent.commands import UNUSABLE, register, settings
from agent.lender import UnusableSettings
from agent.settings import UnusableCredential

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Lends this machine to the farm.",
)
register(app)
joining.register(app)


@app.callback()
def _root() -> None:
    """Lends this machine to the farm."""


@app.command("run")
def run_command() -> None:
    """Take chunks, render them in locked containers, deliver the pictures; until SIGTERM or Ctrl-C."""
    try:
        code = asyncio.run(run(settings()))
    except (UnusableCredential, UnusableSettings, AlreadyRunning) as unusable:
        print(str(unusable), file=sys.stderr)
        code = UNUSABLE
    raise typer.Exit(code)


def main() -> None:
    """The console script's entry."""
    app()


if __name__ == "__main__":
    main()
