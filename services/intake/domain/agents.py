"""A lender's machine as the scheduler tells of it: enrolled once, changed by revision, revoked for good."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contracts.events import (
    AgentChanged,
    AgentControlled,
    AgentEnrolled,
    AgentOrder,
    AgentRevoked,
    Event,
    RevocationRequested,
)


@dataclass(frozen=True)
class Agent:
    owner: str
    name: str = ""
    house: bool = False
    state: str = "enrolled"
    reason: str = ""
    revision: int = 0
    micro_wu_per_minute: int = 0
    cores: float = 0.0
    revoked: bool = False
    order: AgentOrder = AgentOrder.ENABLE
    """The last one given; counted here, the one publisher."""
    order_revision: int = 0
    leaving: bool = False
    """Its owner or the operator has asked the scheduler to revoke it."""


def enrolled(agent: Agent | None, event: AgentEnrolled) -> Agent:
    return replace(agent or Agent(event.owner), owner=event.owner, name=event.name, house=event.house)


def changed(agent: Agent | None, event: AgentChanged) -> Agent:
    known = agent or Agent(event.owner)
    if known.revoked or event.revision <= known.revision:
        return known
    return replace(
        known,
        state=event.state,
        reason=event.reason,
        revision=event.revision,
        micro_wu_per_minute=event.micro_wu_per_minute,
        cores=event.cores,
    )


def revoked(agent: Agent | None, event: AgentRevoked) -> Agent:
    return replace(agent or Agent(event.owner), state="revoked", reason=event.reason, revoked=True)


def leaving(id: str, agent: Agent, by: str, reason: str) -> tuple[Agent, Sequence[Event]]:
    """To be revoked; asked for once."""
    if agent.leaving or agent.revoked:
        return agent, []
    return replace(agent, leaving=True), [RevocationRequested(agent=id, by=by, reason=reason)]


def controlled(id: str, agent: Agent, order: AgentOrder, by: str) -> tuple[Agent, Sequence[Event]]:
    """The same order again is said again: it may be about a program started since."""
    if agent.leaving or agent.revoked:
        return agent, []
    revision = agent.order_revision + 1
    return replace(agent, order=order, order_revision=revision), [
        AgentControlled(agent=id, order=order, revision=revision, by=by)
    ]


OBEYED = {
    AgentOrder.ENABLE: frozenset({"online", "draining", "offline"}),
    AgentOrder.DRAIN: frozenset({"draining", "offline"}),
    AgentOrder.DISABLE: frozenset({"suspended"}),
    AgentOrder.STOP: frozenset({"draining", "offline"}),
}
"""States a machine may be in once the scheduler has heard the order."""
OUT_OF_REACH = frozenset({"enrolled", "quarantined"})


def obeys(agent: Agent) -> bool:
    """Nothing more is to be waited for."""
    return agent.state in OBEYED[agent.order] | OUT_OF_REACH
