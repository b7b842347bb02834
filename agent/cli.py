"""`framelend-agent`: the command a lender runs."""

import asyncio
import sys

import typer
from pydantic import ValidationError

from agent.app import AlreadyRunning, run
from agent.settings import AgentSettings, UnusableCredential

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Lends this machine to the farm.")

UNUSABLE = 78
"""EX_CONFIG: starting again without changing something will not help."""


@app.callback()
def _root() -> None:
    """Lends this machine to the farm."""


@app.command("run")
def run_command() -> None:
    """Take chunks, render them in locked containers, deliver the pictures; until SIGTERM or Ctrl-C."""
    try:
        code = asyncio.run(run(AgentSettings()))
    except ValidationError as wrong:
        for error in wrong.errors(include_input=False, include_url=False):
            print(f"FRAMELEND_{'_'.join(map(str, error['loc'])).upper()}: {error['msg']}", file=sys.stderr)
        code = UNUSABLE
    except (UnusableCredential, AlreadyRunning) as unusable:
        print(str(unusable), file=sys.stderr)
        code = UNUSABLE
    raise typer.Exit(code)


def main() -> None:
    """The console script's entry."""
    app()


if __name__ == "__main__":
    main()
