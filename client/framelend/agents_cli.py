"""`framelend agents`: the machines one lends, how a new one comes in, how one goes."""

from typing import Annotated

import typer

from framelend.models import Agent
from framelend.problems import LocalProblem
from framelend.session import Json, connected
from framelend.terminal import out, plain, print_json, speaking, table

app = typer.Typer(help="My machines (lenders): list them, bring in a new one, say what they are to do, revoke one.")
AgentId = Annotated[str, typer.Argument(metavar="AGENT", help="The machine's id.")]


@app.callback(invoke_without_command=True)
def agents(context: typer.Context, json: Json = False) -> None:
    """My machines (lenders): list them, bring in a new one, say what they are to do, revoke one."""
    if context.invoked_subcommand is None:
        _listed(json)


@app.command("list")
def list_agents(json: Json = False) -> None:
    """My machines; all machines, for the operator."""
    _listed(json)


@speaking
def _listed(json: bool) -> None:
    with connected() as client:
        found = client.agents()
    if json:
        return print_json(found)
    rows = table("agent", "name", "state", "WU/min", "cores", "", right=("WU/min", "cores"))
    for one in found:
        rows.add_row(one.id, one.name, one.state, f"{one.wu_per_minute:.1f}", f"{one.cores:g}", one.reason)
    out.print(rows if found else "No machines yet. Bring one in: [bold]framelend agents code[/]")


@app.command("code")
@speaking
def code(json: Json = False) -> None:
    """A one-time code that lets one new machine in; good for some minutes."""
    with connected() as client:
        made, url = client.agent_code(), client.url
    if json:
        return print_json(made)
    out.print(f"Good for one machine, until {made.expires_at.astimezone():%H:%M}. On that machine:", soft_wrap=True)
    out.print(f"  [bold]framelend-agent enrol {made.code} --farm {plain(url)}[/]", soft_wrap=True)


@app.command("revoke")
@speaking
def revoke(
    agent: AgentId,
    reason: Annotated[str, typer.Option(help="Why; kept on the record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Shut a machine out for good. What it is rendering is given to others; its id is never used again."""
    if not yes and not typer.confirm(f"Shut {agent} out for good?", err=True):
        raise LocalProblem("Nothing was done.")
    with connected() as client:
        found = client.revoke_agent(agent, reason)
    if json:
        return print_json(found)
    out.print(plain(_ending(found)))


@app.command("enable")
def enable(agent: AgentId, json: Json = False) -> None:
    """Let a machine work again, as it says itself."""
    _ordered(agent, "enable", json)


@app.command("drain")
def drain(agent: AgentId, json: Json = False) -> None:
    """Let a machine finish what it has and take nothing more."""
    _ordered(agent, "drain", json)


@app.command("disable")
def disable(agent: AgentId, json: Json = False) -> None:
    """Give what a machine has to others at once, until it is enabled again. Finished frames stay yours."""
    _ordered(agent, "disable", json)


@app.command("stop")
def stop(agent: AgentId, json: Json = False) -> None:
    """As disable, and the program on the machine ends. Started there again, it works again."""
    _ordered(agent, "stop", json)


@speaking
def _ordered(agent: str, order: str, json: bool) -> None:
    with connected() as client:
        found = client.order_agent(agent, order)
    if json:
        return print_json(found)
    why = f": {plain(found.reason)}" if found.reason else ""
    out.print(f"{plain(found.id)} is {found.state} ({found.wu_per_minute:.1f} WU/min){why}")


def _ending(agent: Agent) -> str:
    if agent.state == "revoked":
        return f"{agent.id} is shut out. What it has earned stays yours."
    return f"{agent.id} is being shut out; `framelend agents` shows when it is done."
