"""What an agent may do at the broker, as its document says it; the broker is made to follow.

Theory. The document is the truth: whether there is to be a broker user, and for which secret (a salted hash of it). Every change
of mind is written here first, then the broker is told, then what was done is noted, and only if the document still says so.
Whoever is late, twice, or between two others therefore sees that the document has moved on and does it again. A revoked agent's
access never opens again.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from contracts.events import AgentEnrolled
from services.scheduler.domain.agent import Agent, Decided, quarantined, revoked
from services.scheduler.domain.agent import released as let_go
from services.scheduler.domain.states import ACCESS_MOVES, UNSETTLED, WELCOME, Access, AgentState, check

BETWEEN_OFFERS = timedelta(seconds=10)


def asked(agent: str, owner: str, name: str, house: bool, secret_hash: str) -> Agent:
    """A machine that is to be let in. Nothing is said of it before it can log in."""
    return Agent(agent, owner, name, house, access=Access.ASKED, secret_hash=secret_hash)


def is_welcome(agent: Agent) -> bool:
    """There is to be a broker user."""
    return agent.access in WELCOME and agent.state is not AgentState.REVOKED


def is_stale(agent: Agent, offer: str) -> bool:
    """A newer offer has been taken over. The same one is taken again: nobody knows whether the broker was told."""
    return offer < agent.offer


def is_too_soon(agent: Agent, offer: str, secret_hash: str, now: datetime) -> bool:
    """Each secret costs the broker's management a few calls, so an agent may change its own once in a while only."""
    is_new = (offer, secret_hash) != (agent.offer, agent.secret_hash)
    return is_new and agent.offered_at is not None and now - agent.offered_at < BETWEEN_OFFERS


def offered(agent: Agent, offer: str, secret_hash: str, now: datetime) -> Agent:
    """The agent's own word for a new secret. A stale or hasty one changes nothing."""
    if is_stale(agent, offer) or is_too_soon(agent, offer, secret_hash, now):
        return agent
    return renewed(replace(agent, offer=offer, offered_at=now), secret_hash)


def renewed(agent: Agent, secret_hash: str) -> Agent:
    """A new secret in place of the old one; nothing for an agent that is out."""
    if not is_welcome(agent) or agent.secret_hash == secret_hash:
        return agent
    changed = replace(agent, secret_hash=secret_hash)
    return _moved(changed, Access.RENEWING) if agent.access is Access.OPEN else changed


def ended(agent: Agent, reason: str) -> Decided:
    """Revoked, for good. It keeps its hands until their chunks are given up."""
    if agent.state is AgentState.REVOKED:
        return agent, []
    gone, events = revoked(agent, reason)
    return _closing(gone), events


def barred(agent: Agent, reason: str, now: datetime) -> Decided:
    """Into quarantine. It keeps its hands until their chunks are given up, and the hash of its secret."""
    gone, events = quarantined(agent, reason, now)
    return (gone if gone is agent else _closing(gone)), events


def released(agent: Agent, reason: str) -> Decided:
    """Let in again under the secret it had. Raises IllegalMove unless it is in quarantine."""
    back, events = let_go(agent, reason)
    return _moved(back, Access.RENEWING), events


def settled(agent: Agent, done: Agent) -> Decided:
    """The broker was made to say what `done` says. Notes it, unless the document has moved on since."""
    if agent.access not in UNSETTLED or (agent.access, agent.secret_hash) != (done.access, done.secret_hash):
        return agent, []
    if agent.access is Access.CLOSING:
        return replace(_moved(agent, Access.CLOSED), hands=()), []
    told = AgentEnrolled(agent=agent.agent, owner=agent.owner, name=agent.name, house=agent.house)
    return _moved(agent, Access.OPEN), [told] if agent.access is Access.ASKED else []


def is_settled(agent: Agent, done: Agent) -> bool:
    """What was done is what the document says now."""
    same = (agent.secret_hash, is_welcome(agent)) == (done.secret_hash, is_welcome(done))
    return same and agent.access not in UNSETTLED


def _closing(agent: Agent) -> Agent:
    """Also for one that is out already."""
    return agent if agent.access in (Access.CLOSING, Access.CLOSED) else _moved(agent, Access.CLOSING)


def _moved(agent: Agent, to: Access) -> Agent:
    check(ACCESS_MOVES, f"access of {agent.agent}", agent.access, to)
    return replace(agent, access=to)
