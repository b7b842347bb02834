"""Jobs in the order of their turns, for a round that gives out many slots.

Theory. A job's rank only falls during a round: what it gets makes its claim and its renter's smaller, and lacking less makes it
less urgent. So the rank that stands in the heap is never worse than the true one: a job met at the front whose rank has fallen
goes back to where it belongs, and one whose rank still holds is the first of all. A slot costs a few comparisons, not a look at
every job.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Any

Rank = Callable[[str], Any]


class Line:
    def __init__(self, jobs: Iterable[str], rank: Rank) -> None:
        self._rank = rank
        self._heap = [(rank(job), job) for job in jobs]
        heapq.heapify(self._heap)

    def first(self, may: Callable[[str], bool]) -> str | None:
        """The first in line that may have the slot. It stays in line."""
        aside: list[tuple[Any, str]] = []
        found = None
        while self._heap and found is None:
            rank, job = self._heap[0]
            now = self._rank(job)
            if now != rank:
                heapq.heapreplace(self._heap, (now, job))
            elif may(job):
                found = job
            else:
                aside.append(heapq.heappop(self._heap))
        for one in aside:
            heapq.heappush(self._heap, one)
        return found
