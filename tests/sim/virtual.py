"""Virtual time: what happens next, and what the scheduler believes the time to be."""

import heapq
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from tests.unit.scheduler.builders import NOW

Step = Callable[[], Awaitable[None] | None]


class Time:
    """Seconds since the world began. Steps of the same moment happen in the order in which they were asked for."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._next: list[tuple[float, int, Step]] = []
        self._asked = 0
        self._wall = 0.0, NOW

    def at(self, seconds: float, step: Step) -> None:
        self._asked += 1
        heapq.heappush(self._next, (seconds, self._asked, step))

    def after(self, seconds: float, step: Step) -> None:
        self.at(self.seconds + seconds, step)

    async def run(self, awaited: Collection[str], longest: float) -> None:
        """One step after the other until nothing is awaited any more. Raises TimeoutError when that takes more seconds."""
        while awaited:
            at, _, step = heapq.heappop(self._next)
            if at > longest:
                raise TimeoutError(f"not done after {longest} seconds of virtual time")
            self.seconds = max(self.seconds, at)
            waiting = step()
            if waiting is not None:
                await waiting

    # --- as the scheduler sees it

    @property
    def wall(self) -> datetime:
        if self._wall[0] != self.seconds:
            self._wall = self.seconds, NOW + timedelta(seconds=self.seconds)
        return self._wall[1]

    async def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds
