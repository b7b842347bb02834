"""A lender's machine as the scheduler tells of it: enrolled once, changed by revision, revoked for good."""

from dataclasses import dataclass, replace

from contracts.events import AgentChanged, AgentEnrolled, AgentRevoked


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
