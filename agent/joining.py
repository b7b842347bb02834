"""`framelend-agent enrol` and `rotate`: how a machine comes to a farm, and how it changes its secret."""

import asyncio
import platform
from pathlib import Path
from typing import Annotated

import typer

from agent.commands import UNUSABLE, settings
from agent.enrolment import LONGEST_NAME, NotEnrolled, Request, enrol
from agent.keyring import Keyring
from agent.lender import UnusableSettings
from agent.opening import named
from agent.rotation import NotRotated, rotate
from agent.settings import FILE_NAME, AgentSettings, UnusableCredential
from agent.workplace import Folders

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
        called = (name or platform.node() or "machine")[:LONGEST_NAME]
        asked = Request(code, farm, called, mine.agent_plain_broker)
        try:
            folder = _folder(mine)
            credential = enrol(asked, file, _say)
        except UnusableSettings as why:
            raise _failed(str(why), UNUSABLE) from None
        except NotEnrolled as why:
            raise _failed(str(why), 1) from None
        except OSError as wrong:
            raise _unkept(file, wrong) from None
        typer.echo(f"This machine is {credential.agent} now; its credential is {file}.")
        typer.echo(f"What it lends and when you may say in {folder / FILE_NAME}: framelend-agent example-settings")
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


def _folder(mine: AgentSettings) -> Path:
    """The agent's own, made before the code is used up: its owner may put his settings there. Raises UnusableSettings."""
    with named("FRAMELEND_AGENT_DIR", mine.agent_dir):
        return Folders(mine.agent_dir).root


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _unkept(file: Path, wrong: OSError) -> typer.Exit:
    return _failed(f"FRAMELEND_AGENT_FILE: {file} cannot be kept: {wrong.strerror or wrong}", UNUSABLE)


def _failed(text: str, code: int) -> typer.Exit:
    _say(text)
    return typer.Exit(code)
