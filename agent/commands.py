"""What the owner says to his own agent and asks of his own machine: status, pause, resume, doctor, example-settings."""

import asyncio
import json
from importlib import resources
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from agent import doctor
from agent.control import NotRunning, ask
from agent.lender import UnusableSettings
from agent.settings import AgentSettings
from agent.status import lines

UNUSABLE = 78
"""EX_CONFIG: starting again without changing something will not help."""
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def settings() -> AgentSettings:
    """From the environment and agent.toml. Says what is wrong with them and ends the command."""
    try:
        return AgentSettings()
    except ValidationError as wrong:
        for error in wrong.errors(include_input=False, include_url=False):
            typer.echo(f"FRAMELEND_{'__'.join(map(str, error['loc'])).upper()}: {error['msg']}", err=True)
    except UnusableSettings as unusable:
        typer.echo(str(unusable), err=True)
    raise typer.Exit(UNUSABLE)


def register(app: typer.Typer) -> None:
    @app.command("status")
    def status(as_json: Json = False) -> None:
        """What the agent does, or why it does nothing; today's frames."""
        _show(_asked({"order": "status"}), as_json)

    @app.command("pause")
    def pause(
        minutes: Annotated[float | None, typer.Option(min=0.1, help="Until you resume, unless it is said.")] = None,
    ) -> None:
        """Have the machine for yourself: containers stand still at once, and are given back after some minutes."""
        _show(_asked({"order": "pause", "minutes": minutes}), as_json=False)

    @app.command("resume")
    def resume() -> None:
        """Lend again, as your rules say."""
        _show(_asked({"order": "resume"}), as_json=False)

    @app.command("doctor")
    def examine(as_json: Json = False) -> None:
        """Look whether this machine can work for the farm, and say how to mend what is wrong. Exit code 1 when something is."""
        found = asyncio.run(doctor.examined(settings()))
        typer.echo(json.dumps([one.told() for one in found], indent=2) if as_json else "\n".join(map(doctor.line, found)))
        raise typer.Exit(1 if any(one.is_bad for one in found) else 0)

    @app.command("example-settings")
    def example_settings() -> None:
        """An agent.toml with every setting explained; put it into the agent's folder."""
        typer.echo(resources.files("agent").joinpath("example.toml").read_text(encoding="utf-8"), nl=False)


def _asked(request: dict[str, Any]) -> dict[str, Any]:
    known = settings()
    try:
        told = ask(known.agent_dir, request)
    except NotRunning as why:
        typer.echo(f"{why}: start it with `framelend-agent run`, or see `systemctl status framelend-agent`", err=True)
        raise typer.Exit(1) from None
    if "error" in told:
        typer.echo(told["error"], err=True)
        raise typer.Exit(1)
    return told


def _show(told: dict[str, Any], as_json: bool) -> None:
    typer.echo(json.dumps(told, indent=2) if as_json else "\n".join(lines(told)))
