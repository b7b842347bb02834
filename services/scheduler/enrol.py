"""The operator's command: enrol or revoke an agent.

    python -m services.scheduler.enrol --agent ID --owner ACCOUNT --name NAME [--house] --amqp amqp://HOST:PORT/VHOST --out FILE
    python -m services.scheduler.enrol revoke|release --agent ID [--reason TEXT]

Runs with the scheduler's own environment; where the whole farm runs `python -m infra.local lend|release` does. Enrolling the same
agent again makes a new secret and changes nothing else. Release lets an agent out of quarantine, under the secret it had.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import TypeAdapter, ValidationError

from contracts.topology import SCHEDULER
from contracts.values import Id, Label
from services.chassis.service import grounded
from services.chassis.settings import told
from services.chassis.verdicts import WorldAway
from services.scheduler.app import Settings, Stores, stores
from services.scheduler.broker import hashed
from services.scheduler.domain import access
from services.scheduler.domain.states import AgentState
from services.scheduler.gate import Gate

NAME = re.compile(r"^[a-z0-9][a-z0-9-]{2,40}$")
"""So that an agent's id needs no escaping in the broker's patterns."""
_OWNER, _LABEL = TypeAdapter[str](Id), TypeAdapter[str](Label)
RESERVED = frozenset({"intake", "scheduler", "storage", "billing", "notifier", "guest", "admin"})

INSTEAD = (
    "It runs with the scheduler's environment. In the farm's checkout: `python -m infra.local lend AGENT`, `… release AGENT`."
)


class Refused(Exception):
    """The command cannot be done; the text tells the operator why."""


def main() -> None:
    arguments = _arguments(sys.argv[1:])
    try:
        asyncio.run(_with_stores(told(Settings, INSTEAD), arguments.amqp, _command(arguments)))
    except Refused as why:
        sys.exit(f"refused: {why}")
    except WorldAway as away:
        sys.exit(f"not done yet: {away}; the scheduler finishes it, or run this again")


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.scheduler.enrol", description="Enrol or revoke an agent.")
    parser.add_argument("action", nargs="?", choices=("enrol", "revoke", "release"), default="enrol")
    parser.add_argument("--agent", required=True, help="its id, also its user name at the broker")
    parser.add_argument("--owner", help="the account that earns")
    parser.add_argument("--name", help="for people")
    parser.add_argument("--house", action="store_true", help="run and trusted by the operator")
    parser.add_argument("--amqp", help="the broker as the agent reaches it: amqp://HOST:PORT/VHOST")
    parser.add_argument("--out", type=Path, help="where its credential is written, mode 0600")
    parser.add_argument("--reason", default="the operator's word")
    arguments = parser.parse_args(words)
    if arguments.action == "enrol" and not all((arguments.owner, arguments.name, arguments.amqp, arguments.out)):
        parser.error("enrolling needs --owner, --name, --amqp and --out")
    return arguments


Command = Callable[[Stores, Gate], Awaitable[None]]


def _command(arguments: argparse.Namespace) -> Command:
    async def run(kept: Stores, gate: Gate) -> None:
        if arguments.action == "revoke":
            await revoke(kept, gate, arguments.agent, arguments.reason)
            return
        if arguments.action == "release":
            await release(kept, gate, arguments.agent, arguments.reason)
            return
        secret = await enrol(kept, gate, arguments.agent, arguments.owner, arguments.name, arguments.house)
        write_credential(arguments.out, arguments.agent, arguments.amqp, secret)

    return run


async def enrol(kept: Stores, gate: Gate, agent: str, owner: str, name: str, house: bool) -> str:
    """Makes document, broker user and mailbox; returns the new secret. Raises Refused for an id that is somebody else's, and
    before anything is made for words that no event could say of it: such an agent could be neither settled nor revoked."""
    if not NAME.fullmatch(agent) or agent in RESERVED:
        raise Refused(f"{agent!r} is not a good id: 3 to 41 of a-z, 0-9 and -, and no service's name")
    _check("owner", owner, _OWNER, "1 to 64 of a-z, 0-9 and -, and no - first")
    _check("name", name, _LABEL, "at most 200 characters")
    secret = secrets.token_urlsafe(32)
    secret_hash = hashed(secret, os.urandom(4))
    await kept.agents.add(access.asked(agent, owner, name, house, secret_hash), [])
    known = await kept.agents.get(agent)
    assert known is not None, "agents are never deleted"
    if known.state is AgentState.REVOKED:
        raise Refused(f"{agent} was revoked; ids are never used again")
    if (known.owner, known.house) != (owner, house):
        raise Refused(f"{agent} belongs to {known.owner}{' (house)' if known.house else ''} already")
    await kept.agents.update(agent, lambda state, _: (access.renewed(state, secret_hash), []))
    await gate.settle(agent)
    return secret


def _check(what: str, said: str, kind: TypeAdapter[str], allowed: str) -> None:
    try:
        kind.validate_python(said)
    except ValidationError:
        raise Refused(f"{said!r} is not a good {what}: {allowed}") from None


async def revoke(kept: Stores, gate: Gate, agent: str, reason: str) -> None:
    """Shuts the agent out and voids its leases. Raises Refused for one that was never enrolled."""
    if await kept.agents.get(agent) is None:
        raise Refused(f"{agent} is not enrolled")
    await kept.agents.update(agent, lambda state, _: access.ended(state, reason))
    await gate.settle(agent)


async def release(kept: Stores, gate: Gate, agent: str, reason: str) -> None:
    """Out of quarantine. Raises Refused for one that is not in it, or whose secret nobody has kept."""
    known = await kept.agents.get(agent)
    if known is None or known.state is not AgentState.QUARANTINED:
        raise Refused(f"{agent} is {known.state if known else 'not enrolled'}, not quarantined")
    if not known.secret_hash:
        raise Refused(f"{agent} was enrolled before secrets' hashes were kept: revoke it and enrol the machine anew")
    await kept.agents.update(agent, lambda state, _: access.released(state, f"released: {reason}"))
    await gate.settle(agent)


def write_credential(out: Path, agent: str, amqp: str, secret: str) -> None:
    """Mode 0600 from the first byte on; replaces an older one in one step."""
    part = out.with_name(f"{out.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"agent": agent, "amqp_url": agent_url(amqp, agent, secret)}, file)
    part.replace(out)


def agent_url(amqp: str, agent: str, secret: str) -> str:
    """The broker's address with the agent's user."""
    parts = urlsplit(amqp)
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(agent, safe='')}:{quote(secret, safe='')}@{where}"))


async def _with_stores(settings: Settings, amqp: str | None, command: Command) -> None:
    broker = settings.broker(unquote(urlsplit(amqp or "").path.removeprefix("/")))
    try:
        async with grounded(SCHEDULER, settings) as ground:
            kept = stores(ground, settings)
            await command(kept, Gate(kept.agents, kept.chunks, broker))
            await kept.agents.store.pending.settled()
    finally:
        broker.close()


if __name__ == "__main__":
    main()
