"""What waits at a hot inbox, handed out in groups in which no agent has more than a share.

Theory. A group is decided as a whole, so who says five hundred things at once would keep all others waiting until they are
decided. With a share a flood costs the others a few of its messages per group, and has run into its limits before the rest is
read. The share lies above what the busiest honest agent says in the time of a group.
"""

import asyncio
from collections import Counter, deque
from typing import Generic, TypeVar

from services.chassis.arrivals import Message
from services.chassis.delivery import speaker

M = TypeVar("M", bound=Message)
SHARE = 32
"""Messages of one agent in one group."""


class FairQueue(Generic[M]):
    """First come, first served, but for who has had his share of this group: `share` None is without bounds."""

    def __init__(self, share: int | None = None) -> None:
        self._share = share
        self._waiting: deque[M] = deque()
        self._least = 1
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: M) -> None:
        self._waiting.append(message)
        if len(self._waiting) >= self._least:
            self._some.set()

    async def some(self, least: int = 1) -> None:
        """Returns when so many wait. For one who asks at a time."""
        self._least = least
        if len(self._waiting) < least:
            self._some.clear()
            await self._some.wait()

    def take(self, most: int) -> list[M]:
        """At most so many; what one agent said stays in its order."""
        group: list[M] = []
        later: list[M] = []
        had: Counter[str] = Counter()
        while self._waiting and len(group) < most:
            message = self._waiting.popleft()
            (group if self._is_due(message, had) else later).append(message)
        self._waiting.extendleft(reversed(later))
        return group

    def _is_due(self, message: M, had: Counter[str]) -> bool:
        if self._share is None:
            return True
        who = speaker(message)
        had[who] += 1
        return had[who] <= self._share
