"""Many simulated agents on one connection speak together, so that the benchmark takes little of what it measures."""

import asyncio
from collections.abc import Callable

from aiormq.channel import Channel

from contracts.bus import Announcement
from contracts.events import Event
from contracts.post import Letter, post


class Chorus:
    """Of everybody on one channel, which must have publisher confirms. The envelope is the farm's own, each message has a confirm
    of its own; what is said in one turn of the event loop goes out in one piece. `failed` hears of what was not confirmed."""

    def __init__(self, channel: Channel, failed: Callable[[str], None]) -> None:
        self.channel, self._failed = channel, failed
        self._letters: list[Letter] = []
        self._sending: asyncio.Task[None] | None = None

    def say(self, event: Event, sender: str) -> None:
        self._letters.append(Announcement(event).letter(sender))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._letters:
            letters, self._letters = self._letters, []
            for confirm in await post(self.channel, letters):
                confirm.add_done_callback(self._confirmed)

    def _confirmed(self, confirm: "asyncio.Future[object]") -> None:
        if confirm.cancelled() or confirm.exception() is not None:
            self._failed(f"not confirmed: {confirm!r}"[:300])
