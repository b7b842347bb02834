"""What this process last read or wrote of some documents, so that it need not read them again before every decision.

A hint, never the truth: whoever decides on what is remembered writes on its version, and a write that is lost forgets it. Where a
decision ends without a write (a refusal), the document is read first.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True)
class Saved(Generic[S]):
    """A state as it was read, with the version a conditional write must name."""

    id: str
    version: int
    state: S


class Memory(Generic[S]):
    """At most so many of one collection, those longest untouched go first. With 0 nothing is remembered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Saved[S]] = OrderedDict()

    def note(self, saved: Saved[S]) -> None:
        """As read or written just now; what is older than what is remembered changes nothing."""
        if not self._most:
            return
        known = self._kept.get(saved.id)
        if known is None or known.version <= saved.version:
            self._kept[saved.id] = saved
        self._kept.move_to_end(saved.id)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, id: str) -> None:
        self._kept.pop(id, None)

    def recall(self, ids: Iterable[str]) -> dict[str, Saved[S]]:
        """Those of these that are remembered."""
        return {id: self._kept[id] for id in ids if id in self._kept}

    def has(self, id: str, version: int) -> bool:
        known = self._kept.get(id)
        return known is not None and known.version == version
