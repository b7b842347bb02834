"""Wakes the requests of this process that wait for a thing to change.

A bell saves waiting time and nothing else: with several processes the one that hears the news need not be the one that is asked,
so whoever waits also looks again every second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
LOOK_AGAIN_SECONDS = 1.0


class Ear:
    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def hear(self) -> None:
        self._rung.set()

    async def heard(self, seconds: float) -> None:
        """Until it rings, or rang since the last time, or the time is over."""
        waiting = asyncio.ensure_future(self._rung.wait())
        try:
            await asyncio.wait({waiting}, timeout=max(0.0, seconds))
        finally:
            waiting.cancel()
        self._rung.clear()


class Bell:
    def __init__(self) -> None:
        self._ears: dict[str, set[Ear]] = {}
        self.silent = False
        """True at the end of the process: nobody should wait any more."""

    def silence(self) -> None:
        self.silent = True
        for topic in list(self._ears):
            self.ring(topic)

    def ring(self, topic: str) -> None:
        for ear in self._ears.get(topic, ()):
            ear.hear()

    @contextmanager
    def listening(self, topic: str) -> Iterator[Ear]:
        """From now on nothing is missed, also while nobody waits."""
        ear = Ear()
        self._ears.setdefault(topic, set()).add(ear)
        try:
            yield ear
        finally:
            self._ears[topic].discard(ear)
            if not self._ears[topic]:
                del self._ears[topic]

    async def until(self, topic: str, seconds: float, look: Callable[[], Awaitable[T | None]]) -> T | None:
        """What `look` finds, looked for whenever the topic rings; None when the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        with self.listening(topic) as ear:
            while True:
                found = await look()
                left = end - loop.time()
                if found is not None or left <= 0 or self.silent:
                    return found
                await ear.heard(min(left, LOOK_AGAIN_SECONDS))
