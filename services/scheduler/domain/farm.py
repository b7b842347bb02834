"""The whole farm under its operator's order: at work, paused, or stopped.

Theory. One document, so that the order outlives every process. A paused farm gives nothing out and lets what is in hand end; a
stopped one takes it back. Nobody is to blame for either: attempts end as not needed, and no try or interruption is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from contracts.events import Event, FarmChanged, FarmControlled, FarmOrder

WORDS: Mapping[FarmOrder, str] = MappingProxyType(
    {
        FarmOrder.RESUME: "",
        FarmOrder.PAUSE: "the farm is paused by its operator; what is being rendered is finished, nothing more is given out",
        FarmOrder.STOP: "the farm is stopped by its operator; finished frames are kept, the rest goes on when it is resumed",
    }
)


@dataclass(frozen=True)
class Farm:
    order: FarmOrder = FarmOrder.RESUME
    """The one that stands."""
    revision: int = 0
    by: str = ""
    since: datetime | None = None


def controlled(farm: Farm | None, said: FarmControlled) -> tuple[Farm, list[Event]]:
    """Older revisions change nothing."""
    known = farm or Farm()
    if said.revision <= known.revision:
        return known, []
    return Farm(said.order, said.revision, said.by, said.at), []


def is_at_work(farm: Farm) -> bool:
    """Something may be given out."""
    return farm.order is FarmOrder.RESUME


def words(farm: Farm) -> str:
    """Why nothing is given out, for everybody; nothing while it is."""
    return WORDS[farm.order]


def told(farm: Farm, agent: str) -> FarmChanged:
    return FarmChanged(agent=agent, order=farm.order, revision=farm.revision)
