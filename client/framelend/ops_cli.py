"""`framelend ops`: what the farm's operator does over HTTP."""

from decimal import Decimal
from typing import Annotated

import typer

from framelend.session import JobId, Json, connected
from framelend.steering import Farm
from framelend.steering_cli import retried
from framelend.terminal import credits, out, plain, print_json, speaking, table

app = typer.Typer(no_args_is_help=True, help="For the farm's operator (FRAMELEND_KEY must be the operator's).")
Roles = Annotated[list[str] | None, typer.Option("--role", help="renter or lender; may be given twice.")]


@app.command("open-account")
@speaking
def open_account(
    name: Annotated[str, typer.Argument(help="Of a person or company.")],
    email: Annotated[str, typer.Argument(help="Where mail goes.")],
    role: Roles = None,
    json: Json = False,
) -> None:
    """Open an account; its API key is shown this one time."""
    with connected() as client:
        made = client.open_account(name, email, role or ["renter"])
    if json:
        return print_json(made)
    out.print(f"Account [bold]{made.id}[/] ({', '.join(made.roles)}) is open. Its key, shown only now:\n{made.key}")


@app.command("reset-key")
@speaking
def reset_key(account: Annotated[str, typer.Argument(help="The account's id.")], json: Json = False) -> None:
    """A new API key for an account that lost its own; older ones end."""
    with connected() as client:
        made = client.reset_key(account)
    if json:
        return print_json(made)
    out.print(f"The new key of {made.account}, shown only now:\n{made.key}")


@app.command("issue-credits")
@speaking
def issue_credits(
    account: Annotated[str, typer.Argument(help="The account's id.")],
    amount: Annotated[str, typer.Argument(help="Credits, e.g. 25 or 0.5.")],
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: the same one never issues twice.")] = None,
    json: Json = False,
) -> None:
    """Issue credits to an account."""
    with connected() as client:
        made = client.issue_credits(account, amount, key)
    if json:
        return print_json(made)
    out.print(f"{credits(Decimal(made.amount))} credits are ordered for {made.account} (order {plain(made.order)}).")


@app.command("accounts")
@speaking
def accounts(json: Json = False) -> None:
    """All accounts."""
    with connected() as client:
        found = client.accounts()
    if json:
        return print_json(found)
    rows = table("account", "name", "email", "roles", "available", "held", right=("available", "held"))
    for one in found:
        sums = one.balances
        rows.add_row(one.id, one.name, one.email, ", ".join(one.roles), credits(sums.available), credits(sums.held))
    out.print(rows)


@app.command("pause-all")
@speaking
def pause_all(json: Json = False) -> None:
    """The whole farm finishes what is in hand and gives nothing more out."""
    _ordered("pause", json)


@app.command("stop")
@speaking
def stop(json: Json = False) -> None:
    """Emergency: every container of every connected machine ends within seconds. Finished frames are kept."""
    _ordered("stop", json)


@app.command("resume-all")
@speaking
def resume_all(json: Json = False) -> None:
    """The whole farm works as usual."""
    _ordered("resume", json)


@app.command("farm")
@speaking
def farm(json: Json = False) -> None:
    """Whether the whole farm is at work."""
    with connected() as client:
        _shown(client.farm(), json)


@app.command("drain")
@speaking
def drain(agent: Annotated[str, typer.Argument(metavar="AGENT", help="The machine's id.")], json: Json = False) -> None:
    """Let a machine finish what it has and take nothing more; `framelend agents enable` ends that."""
    with connected() as client:
        found = client.order_agent(agent, "drain")
    if json:
        return print_json(found)
    out.print(f"{plain(found.id)} is {found.state}. {plain(found.reason)}")


@app.command("retry")
@speaking
def retry(job: JobId, json: Json = False) -> None:
    """Have what failed of a job under way tried again, by any machine. One that failed is its renter's to retry: it costs him."""
    retried(job, None, None, json)


def _ordered(order: str, json: bool) -> None:
    with connected() as client:
        _shown(client.order_farm(order), json)


def _shown(found: Farm, json: bool) -> None:
    if json:
        return print_json(found)
    out.print(plain(found.notice) or "The farm is at work.")
