"""Which shard of the scheduler hears an agent.

Theory. What an agent says is bound to its shard by its id, which the broker has authenticated; nothing that a sender writes into
a message moves it. The shard follows from the id alone (jump consistent hash, Lamping and Veach 2014), so that whoever makes an
agent's binding and whoever takes its words agree without asking, and growing from n to n+1 shards moves one agent in n+1.
"""

import hashlib
import re
from dataclasses import dataclass

_NAMED = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Shard:
    """`number` counts from 0. The first of one hears everybody."""

    number: int = 0
    of: int = 1

    def hears(self, agent: str) -> bool:
        return self.of == 1 or shard_of(agent, self.of) == self.number


UNDIVIDED = Shard()


def shard_named(text: str) -> Shard:
    """From the words of a setting, which count from 1: `2/3`. Raises ValueError."""
    found = _NAMED.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise ValueError(f"{text!r} is no shard: say 1/1, or 2/3 for the second of three")
    return Shard(int(found[1]) - 1, int(found[2]))


def shard_of(agent: str, of: int) -> int:
    """0 … `of` - 1."""
    key = int.from_bytes(hashlib.sha256(agent.encode()).digest()[:8], "big")
    last, at = 0, 0
    while at < of:
        last = at
        key = (key * 2862933555777941757 + 1) % (1 << 64)
        at = (last + 1) * (1 << 31) // ((key >> 33) + 1)
    return last
