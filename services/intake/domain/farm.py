"""The operator's order to the whole farm. Intake is its one publisher and counts its revisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from contracts.events import Event, FarmControlled, FarmOrder

WORDS: Mapping[FarmOrder, str] = MappingProxyType(
    {
        FarmOrder.PAUSE: "The farm is paused by its operator: what is being rendered is finished, the rest waits.",
        FarmOrder.STOP: "The farm is stopped by its operator: nothing is rendered until it is resumed. Finished frames are kept.",
    }
)
WAITING = frozenset({"inspecting", "estimating", "queued", "rendering"})
"""States of a job that the farm would work on."""


@dataclass(frozen=True)
class Farm:
    order: FarmOrder = FarmOrder.RESUME
    revision: int = 0
    by: str = ""
    since: datetime | None = None


def ordered(farm: Farm | None, order: FarmOrder, by: str, now: datetime) -> tuple[Farm, Sequence[Event]]:
    """The same order again is said again: something may have come up since."""
    revision = (farm.revision if farm else 0) + 1
    return Farm(order, revision, by, now), [FarmControlled(order=order, revision=revision, by=by, at=now)]


def notice(farm: Farm) -> str:
    """For everybody; nothing while the farm is at work."""
    return WORDS.get(farm.order, "")


def reason(farm: Farm, state: str, own: str) -> str:
    """Why a job in this state does not get on."""
    return notice(farm) or own if state in WAITING else own
