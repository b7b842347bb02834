"""What lenders who choose by hand answer."""

from contracts.events import OfferAnswered
from services.chassis.inbox import Inboxes
from services.scheduler.choosing import Choosing


def register(inboxes: Inboxes, choosing: Choosing) -> None:
    @inboxes.on(OfferAnswered)
    async def on_offer_answered(event: OfferAnswered) -> None:
        await choosing.answered(event)
