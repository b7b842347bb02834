"""How agents behave, as other services see it."""

from contracts.events import AgentMisbehaved
from services.chassis.inbox import Inboxes
from services.scheduler.quarantine import Quarantine


def register(inboxes: Inboxes, quarantine: Quarantine) -> None:
    @inboxes.on(AgentMisbehaved)
    async def on_agent_misbehaved(event: AgentMisbehaved) -> None:
        await quarantine.put(event.agent, event.what, event.count)
