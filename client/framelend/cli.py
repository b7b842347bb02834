"""The `framelend` command: for renters, lenders and the operator, over HTTP only."""

import os
from typing import Annotated

import typer

from framelend import agents_cli, config, jobs_cli, offers_cli, ops_cli, steering_cli
from framelend.client import Client
from framelend.config import Login, save
from framelend.session import Json, connected
from framelend.terminal import EXIT_CODES, REFUSED, credits, err, fail, out, plain, print_json, speaking, table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Send Blender jobs to a farm of people who rent each other's computers.\n\n" + EXIT_CODES,
)


@app.command()
@speaking
def login(
    url: Annotated[str, typer.Argument(help="The farm's address, e.g. https://farm.example")],
    key: Annotated[
        str | None, typer.Option(help="API key; asked for when left out, so that it stays out of the shell's history.")
    ] = None,
    json: Json = False,
) -> None:
    """Remember a farm and an API key on this machine."""
    address = config.address(url)
    if config.in_clear(address):
        err.print(f"[yellow]Your key goes to {plain(address)} unencrypted: whoever is on the way can read it. Is there https?[/]")
    secret = (key or typer.prompt("API key", hide_input=True)).strip()
    with Client(address, secret) as client:
        account = client.account()
    path = save(Login(address.rstrip("/"), secret))
    if json:
        return print_json(account)
    who = f"[bold]{plain(account.name)}[/] ({', '.join(account.roles)})"
    out.print(f"You are {who} at {plain(address)}. Remembered in {plain(str(path))}.")


@app.command("rotate-key")
@speaking
def rotate_key(json: Json = False) -> None:
    """Replace this account's API key by a new one, and remember that."""
    with connected() as client:
        made, url = client.rotate_key(), client.url
    if json:
        print_json(made)
    else:
        out.print(f"The older key has ended. The new one:\n{made.key}")
    _remember(Login(url, made.key))


def _remember(new: Login) -> None:
    """After it was shown: the older key has ended, so no full disk may swallow the new one."""
    if os.environ.get("FRAMELEND_KEY"):
        err.print("Put it into FRAMELEND_KEY, which holds the ended one: a key from there is not remembered.")
        return
    try:
        err.print(f"It is remembered in {plain(str(save(new)))}.")
    except OSError as problem:
        fail(f"It could not be remembered ({problem}): keep it, and `framelend login {new.url}` with it.", REFUSED)


@app.command()
@speaking
def account(json: Json = False) -> None:
    """Who am I, and what do I have?"""
    with connected() as client:
        found = client.account()
    if json:
        return print_json(found)
    out.print(f"[bold]{plain(found.name)}[/] · {plain(found.email)} · {', '.join(found.roles)} · {found.id}")
    sums = table("credits", "", right=("",))
    for name, amount in found.balances:
        sums.add_row(name, credits(amount))
    out.print(sums)


@app.command()
@speaking
def webhook(
    url: Annotated[str | None, typer.Argument(help="Where to call; left out: nowhere any more.")] = None, json: Json = False
) -> None:
    """Set the address the farm calls when something happens."""
    with connected() as client:
        found = client.set_webhook(url)
    if json:
        return print_json(found)
    out.print(f"Calls go to {plain(found.url or 'nowhere')}. They are signed with [bold]{found.secret}[/]")


@app.command()
@speaking
def earnings(json: Json = False) -> None:
    """What my machines have earned (lenders)."""
    with connected() as client:
        found = client.earnings()
    if json:
        return print_json(found)
    rows = table("agent", "jobs", "frames", "WU", "credits", right=("jobs", "frames", "WU", "credits"))
    for one in found.agents:
        rows.add_row(one.agent, str(one.jobs), str(one.frames), f"{one.work:,.1f}", credits(one.earned))
    out.print(rows)
    held = found.balances
    besides = held.pending + held.payable - held.debt - found.earned
    copies = f" · {credits(besides)} for copies the farm ordered, and late samples" if besides > 0 else ""
    waiting = f"{credits(held.pending)} waiting · {credits(held.payable)} payable"
    out.print(f"[bold]{credits(found.earned)}[/] credits earned{copies} · {waiting}")


jobs_cli.add_to(app)
offers_cli.add_to(app)
app.add_typer(agents_cli.app, name="agents")
app.add_typer(steering_cli.app, name="job")
app.add_typer(ops_cli.app, name="ops")


def main() -> None:
    app()
