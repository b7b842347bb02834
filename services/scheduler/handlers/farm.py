"""What the operator orders the whole farm."""

from contracts.events import FarmControlled
from services.chassis.inbox import Inboxes
from services.scheduler.halting import Halting


def register(inboxes: Inboxes, halting: Halting) -> None:
    @inboxes.on(FarmControlled)
    async def on_farm_controlled(event: FarmControlled) -> None:
        await halting.ordered(event)
