"""`framelend-agent enrol` and `rotate`: how a machine comes to a farm, and how it changes its secret."""

import asyncio
import platform
from pathlib import Path
from typing import Annotated

import typer

from agent.commands import UNUSABLE, settings
from agent.enrolment import LONGEST_NAME, NotEnrolled, Request, enrol
from agent.keyring import Keyring
from agent.rotation import NotRotated, rotate
from agent.settings import UnusableCredential

Code = Annotated[str, typer.Argument(help="The one-time code that `framelend agents code` shows.")]
Farm = Annotated[str, typer.Option(envvar="FRAMELEND_URL", help="The farm's address, e.g. https://farm.example")]


def register(app: typer.Typer) -> None:
    @app.command("enrol")
    def enrol_command(
        code: Code,
        farm: Farm,
        name: Annotated[str | None, typer.Option(help="What you call this machine; its host name, unless it is said.")] = None,
    ) -> None:
        """Bring this machine to a farm. It makes a secret of its own, which never leaves it."""
        mine = settings()
        file = mine.agent_file
        named = (name or platform.node() or "machine")[:LONGEST_NAME]
        asked = Request(code, farm, named, mine.agent_plain_broker)
        try:
            credential = enrol(asked, file, _say)
        except NotEnrolled as why:
            raise _failed(str(why), 1) from None
        except OSError as wrong:
            raise _unkept(file, wrong) from None
        typer.echo(f"This machine is {credential.agent} now; its credential is {file}.")
        typer.echo("Lend it: framelend-agent run")

    @app.command("rotate")
    def rotate_command() -> None:
        """Give this machine a new secret; a running agent goes on working meanwhile."""
        keyring = Keyring(settings().agent_file)
        try:
            asyncio.run(rotate(keyring, _say))
        except UnusableCredential as why:
            raise _failed(str(why), UNUSABLE) from None
        except NotRotated as why:
            raise _failed(str(why), 1) from None
        except OSError as wrong:
            raise _unkept(keyring.file, wrong) from None
        typer.echo("This machine has a new secret; the old one is worth nothing any more.")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _unkept(file: Path, wrong: OSError) -> typer.Exit:
    return _failed(f"FRAMELEND_AGENT_FILE: {file} cannot be kept: {wrong.strerror or wrong}", UNUSABLE)


def _failed(text: str, code: int) -> typer.Exit:
    _say(text)
    return typer.Exit(code)
