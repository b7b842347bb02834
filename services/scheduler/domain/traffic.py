"""Who burdens the broker itself, whatever of it arrives in an inbox: by the bytes and packets that its connections bring in.

Theory. Some of what an agent may do at the broker never reaches us: messages that expire at once, transactions that are never
committed, its own mailbox's messages handed back for ever. The broker counts what comes in; honest agents bring kilobytes and a
few hundred packets a second at the most. One look may show a burst, several in a row are a habit.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LOOKS = 2
TOO_MUCH = "too much traffic"


@dataclass(frozen=True)
class Rate:
    """Per second."""

    bytes: float = 0
    packets: float = 0

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.bytes + other.bytes, self.packets + other.packets)


MOST = Rate(bytes=2 << 20, packets=1_000)


def by_user(connections: Iterable[tuple[str, Rate]]) -> dict[str, Rate]:
    """The sum of each user's connections."""
    found: dict[str, Rate] = defaultdict(Rate)
    for user, rate in connections:
        found[user] += rate
    return dict(found)


def looked(before: Mapping[str, int], seen: Mapping[str, Rate], most: Rate = MOST) -> dict[str, int]:
    """How many looks in a row each user has been above the limit; who is not, is forgotten."""
    return {user: before.get(user, 0) + 1 for user, rate in seen.items() if _is_loud(rate, most)}


def habitual(loud: Mapping[str, int]) -> list[str]:
    return sorted(user for user, looks in loud.items() if looks >= LOOKS)


def _is_loud(rate: Rate, most: Rate) -> bool:
    return rate.bytes > most.bytes or rate.packets > most.packets
