"""Frame events are plural: what one batch decided for frames of one attempt is told in one event."""

from collections.abc import Sequence

from contracts.events import Event, FramesRejected, FramesStored, FramesSuperfluous
from contracts.events.frames import MAX_FRAMES_PER_EVENT

PLURAL = (FramesStored, FramesRejected, FramesSuperfluous)


def joined(events: Sequence[Event]) -> list[tuple[Event, tuple[int, ...]]]:
    """Fewer events that say the same, each with the positions of those it stands for. Other events stay as they are."""
    found: list[tuple[Event, tuple[int, ...]]] = []
    for places in _alike(events):
        for at in range(0, len(places), MAX_FRAMES_PER_EVENT):
            some = places[at : at + MAX_FRAMES_PER_EVENT]
            found.append((_one([events[place] for place in some]), some))
    return found


def _alike(events: Sequence[Event]) -> list[tuple[int, ...]]:
    groups: dict[object, list[int]] = {}
    for place, event in enumerate(events):
        plural = isinstance(event, PLURAL) and len(event.frames) == 1
        groups.setdefault((type(event), event.model_copy(update={"frames": ()})) if plural else place, []).append(place)
    return [tuple(places) for places in groups.values()]


def _one(events: Sequence[Event]) -> Event:
    if len(events) == 1:
        return events[0]
    frames: dict[int, object] = {}
    for event in events:
        assert isinstance(event, PLURAL)
        for one in event.frames:
            frames[one if isinstance(one, int) else one.frame] = one
    return events[0].model_copy(update={"frames": tuple(frames.values())})
