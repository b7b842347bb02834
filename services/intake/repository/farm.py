"""The operator's order to the whole farm: one document, looked at by every watcher, so it is remembered for a moment."""

import time
from collections.abc import Sequence

from contracts.events import FarmOrder
from services.chassis.repository import SavedThenTold
from services.intake.domain import farm as domain
from services.intake.domain.farm import Farm

THE_FARM = "farm"
REMEMBERED_SECONDS = 0.5


class Farms:
    def __init__(self, saved: SavedThenTold[Farm]) -> None:
        self.saved = saved
        self._known, self._until = Farm(), 0.0

    async def get(self) -> Farm:
        if time.monotonic() >= self._until:
            self._remember(await self.saved.get(THE_FARM) or Farm())
        return self._known

    async def order(self, order: FarmOrder, by: str) -> Farm:
        self._remember(await self.saved.update_or_add(THE_FARM, lambda farm, now: domain.ordered(farm, order, by, now)))
        return self._known

    def notes(self) -> Sequence[str]:
        """For whoever asks how the service is."""
        said = domain.notice(self._known)
        return [said] if said else []

    def _remember(self, farm: Farm) -> None:
        self._known, self._until = farm, time.monotonic() + REMEMBERED_SECONDS
