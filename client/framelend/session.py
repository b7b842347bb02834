"""What every command needs: a client of the farm one is logged in to, and the `--json` switch."""

from typing import Annotated

import typer

from framelend import config
from framelend.client import Client

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


def connected() -> Client:
    """Raises NotLoggedIn."""
    login = config.login()
    return Client(login.url, login.key)
