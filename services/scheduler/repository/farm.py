"""The operator's order to the whole farm: one document, which every process of the scheduler keeps looking at."""

from contracts.events import FarmControlled
from services.chassis.repository import SavedThenTold
from services.scheduler.domain import farm as domain
from services.scheduler.domain.farm import Farm

THE_FARM = "farm"


class Farms:
    def __init__(self, store: SavedThenTold[Farm]) -> None:
        self.store = store

    async def get(self) -> Farm:
        return await self.store.get(THE_FARM) or Farm()

    async def control(self, said: FarmControlled) -> Farm:
        return await self.store.update_or_add(THE_FARM, lambda farm, _: domain.controlled(farm, said))
