"""An owner's orders to his machine from afar, and what work it takes.

An order stands until the next one. Only `stop` is done with once it is carried out: a machine started again by hand works again.
"""

from dataclasses import replace

from contracts.events import AgentControlled, AgentOrder, AgentOrdered
from services.scheduler.domain.agent import Agent, Decided, moved
from services.scheduler.domain.job import Job, bid
from services.scheduler.domain.states import HEARD_AGENT, AgentState

KEEPS_OFF = frozenset({AgentOrder.DRAIN, AgentOrder.DISABLE})
EMPTIES_HANDS = frozenset({AgentOrder.DISABLE, AgentOrder.STOP})


def ordered(agent: Agent, said: AgentControlled) -> Decided:
    """The agent under this order; older ones change nothing. Hands are emptied by the caller, who holds the chunks. A machine
    that is not running is not told to stop, lest it hears so when it is started."""
    if said.revision <= agent.order_revision or agent.state is AgentState.REVOKED:
        return agent, []
    under = replace(agent, order=said.order, order_revision=said.revision, ordered_by=said.by)
    after, events = _stands(under, said.order, f"{WORDS[said.order]} by {_who(agent, said.by)}")
    is_told = said.order is not AgentOrder.STOP or agent.state in HEARD_AGENT
    return after, [*events, _order_of(after)] if is_told else events


def reminder(agent: Agent) -> AgentOrdered | None:
    """What a machine that says it is ready is told again, for it may have been away: an order that keeps it from working. An
    answer to whatever it says as often as it likes, hence never saved: a full mailbox would fill its document."""
    is_out = agent.state in (AgentState.QUARANTINED, AgentState.REVOKED)
    return _order_of(agent) if agent.order in KEEPS_OFF and not is_out else None


def _order_of(agent: Agent) -> AgentOrdered:
    """What the machine itself is told."""
    return AgentOrdered(agent=agent.agent, order=agent.order, revision=agent.order_revision, by=agent.ordered_by or agent.owner)


WORDS = {
    AgentOrder.ENABLE: "enabled",
    AgentOrder.DRAIN: "told to take nothing more",
    AgentOrder.DISABLE: "disabled",
    AgentOrder.STOP: "told to stop",
}


def _who(agent: Agent, by: str) -> str:
    return "its owner" if by == agent.owner else "the operator"


def _stands(agent: Agent, order: AgentOrder, why: str) -> Decided:
    """Enabling only opens the door: whether there are slots, the agent says itself, now that it is told."""
    if agent.state is AgentState.QUARANTINED:
        return agent, []
    if order is AgentOrder.DISABLE:
        return moved(agent, AgentState.SUSPENDED, why)
    if agent.state is AgentState.SUSPENDED:
        return moved(agent, AgentState.OFFLINE, why)
    if order is not AgentOrder.ENABLE and agent.state is AgentState.ONLINE:
        return moved(agent, AgentState.DRAINING, why)
    return agent, []


def accepts(agent: Agent, job: Job) -> bool:
    """Whether the lender takes work of this kind; an engine nobody knows yet is for the agent to judge."""
    rules = agent.accepts
    if rules is None:
        return True
    engine = job.facts.engine if job.facts else ""
    return (
        bid(job) >= rules.minimum_price
        and (not rules.engines or not engine or engine in rules.engines)
        and (rules.memory_bytes is None or job.memory_bytes <= rules.memory_bytes)
        and (not rules.renters or job.account in rules.renters)
        and (not rules.by_hand or job.job in agent.chosen)
    )


def by_hand(agent: Agent) -> bool:
    """Whether the lender takes only what he said yes to."""
    return agent.accepts is not None and agent.accepts.by_hand


def waits_for_yes(agent: Agent, job: Job) -> bool:
    """Whether nothing but the lender's yes is missing."""
    return by_hand(agent) and job.job not in agent.chosen and accepts(replace(agent, chosen=(job.job,)), job)
