"""Who burdens the broker itself, whatever of it arrives in an inbox: by the bytes and packets that its connections bring in.

Theory. Some of what an agent may do at the broker never reaches us: messages that expire at once, transactions that are never
committed, its own mailbox's messages handed back for ever. The broker counts what comes in; honest agents bring kilobytes and at
most a few hundred packets a second. Its counts are some seconds old, so a rate is taken over several looks. A burst that
falls into some of them makes as many rates more too high than a rate spans; beyond that it is a habit. More than any burst is
seen at once: a transaction that is never committed fills the broker's memory within seconds, and then nobody may publish.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

SPAN = 4
"""Looks over which a rate is taken: ten seconds."""
HABIT = SPAN + 4
"""So many rates in a row that are too high."""
TOO_MUCH = "too much traffic"
HOARDS = "takes messages and answers none"


@dataclass(frozen=True)
class Volume:
    """Altogether, or per second."""

    bytes: float = 0
    packets: float = 0

    def __add__(self, other: "Volume") -> "Volume":
        return Volume(self.bytes + other.bytes, self.packets + other.packets)

    def __sub__(self, other: "Volume") -> "Volume":
        return Volume(self.bytes - other.bytes, self.packets - other.packets)


MOST = Volume(bytes=512 << 10, packets=600)
"""Per second."""
AT_ONCE = 8 << 20
"""Bytes between two looks: some 30,000 small messages, for which a transaction takes 60 MB of the broker's memory. What an agent
has kept through an outage it delivers at 80 events a second, of a few hundred bytes each."""


Looks = tuple[tuple[datetime, Mapping[str, Volume]], ...]


@dataclass(frozen=True)
class Counted:
    """What one connection has brought in since it was opened. `name` is the broker's, used for no other connection."""

    name: str
    user: str
    volume: Volume


@dataclass(frozen=True)
class Watch:
    """What was seen so far. `known`: connection → its counts; `looks`: when, and each user's sum since we began; `loud`: how many
    rates in a row of each user were too high, and the last of them; `floods`: the rate of who brought more than any burst since
    the look before."""

    known: Mapping[str, Volume] = field(default_factory=dict)
    looks: Looks = ()
    loud: Mapping[str, tuple[int, Volume]] = field(default_factory=dict)
    floods: Mapping[str, Volume] = field(default_factory=dict)


def looked(before: Watch, counted: Iterable[Counted], now: datetime, most: Volume = MOST) -> Watch:
    """With one look more. Who is not too loud is forgotten; what a connection brought in before we ever looked is not counted."""
    counted = list(counted)
    sums: dict[str, Volume] = defaultdict(Volume, before.looks[-1][1] if before.looks else {})
    for one in counted:
        start = Volume() if before.looks else one.volume
        sums[one.user] = sums[one.user] + (one.volume - before.known.get(one.name, start))
    present, oldest = {one.user for one in counted}, before.looks[0][1] if before.looks else {}
    look = {user: volume for user, volume in sums.items() if user in present or volume != oldest.get(user)}
    looks = (*before.looks, (now, look))[-SPAN - 1 :]
    rates = _rates(looks) if len(looks) > SPAN else {}
    loud = {user: (before.loud.get(user, (0, rate))[0] + 1, rate) for user, rate in rates.items() if _is_loud(rate, most)}
    return Watch({one.name: one.volume for one in counted}, looks, loud, _floods(looks[-2:]))


def judged(watch: Watch, user: str) -> Watch:
    """What it did has had its consequence."""
    return replace(watch, loud={other: seen for other, seen in watch.loud.items() if other != user})


def too_loud(watch: Watch) -> dict[str, Volume]:
    """User → its rate, of those who are too loud again and again, or brought more at once than anybody may."""
    return {user: rate for user, (times, rate) in watch.loud.items() if times >= HABIT} | dict(watch.floods)


def _floods(looks: Looks) -> dict[str, Volume]:
    """Of the last two looks."""
    brought = _brought(looks)
    return {user: rate for user, rate in _rates(looks).items() if brought[user].bytes > AT_ONCE}


def _rates(looks: Looks) -> dict[str, Volume]:
    """Per second, from the first to the last of them."""
    seconds = max(0.1, (looks[-1][0] - looks[0][0]).total_seconds())
    return {user: Volume(one.bytes / seconds, one.packets / seconds) for user, one in _brought(looks).items()}


def _brought(looks: Looks) -> dict[str, Volume]:
    """From the first to the last of them."""
    before, after = looks[0][1], looks[-1][1]
    return {user: volume - before.get(user, Volume()) for user, volume in after.items()}


def _is_loud(rate: Volume, most: Volume) -> bool:
    return rate.bytes > most.bytes or rate.packets > most.packets
