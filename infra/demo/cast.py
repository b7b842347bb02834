"""The people of the demo and their machines: a renter with credits, two lenders, the operator's house agent."""

from __future__ import annotations

from dataclasses import dataclass

from framelend import Client

from infra.local import farm as local
from infra.local.agents import Lent
from infra.local.farmfile import FarmFile
from infra.local.layout import Layout

CREDITS = 100
"""What the operator gives the renter to spend."""
SPEEDS = {"lena": 1.0, "leo": 0.5}
"""CPUs that each lender's containers may use."""


@dataclass(frozen=True)
class Person:
    account: str
    key: str
    email: str


def person(operator: Client, name: str, role: str) -> Person:
    """A new account; each demo run is played by people of its own."""
    email = f"{name}@framelend.example"
    opened = operator.open_account(name.capitalize(), email, [role])
    return Person(opened.id, opened.key, email)


def operator(farm: FarmFile) -> Client:
    return Client(farm.http("INTAKE"), farm["FARM_OPERATOR_KEY"])


def lenders(layout: Layout, by: Client, run: str) -> dict[str, Person]:
    """Agent id → its owner; the agents are enrolled and running when this returns."""
    owners = {f"{name}-{run}": person(by, name, "lender") for name in SPEEDS}
    lent = [
        Lent(
            agent=agent,
            owner=owner.account,
            name=f"{agent.split('-')[0].capitalize()}'s computer",
            cpus=SPEEDS[agent.split("-")[0]],
        )
        for agent, owner in owners.items()
    ]
    local.join(layout, lent)
    return owners
