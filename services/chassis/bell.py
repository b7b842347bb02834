"""Work that waits in the database is looked for now and then; a bell has it looked for at once."""

import asyncio
from contextlib import suppress


class Bell:
    """Rings for everyone who waits, and for those too who were still looking when it rang. Within one process: what another one
    adds is found by looking."""

    def __init__(self) -> None:
        self.rings = 0
        self._next = asyncio.Event()

    def ring(self) -> None:
        self.rings += 1
        self._next.set()
        self._next = asyncio.Event()

    async def after(self, rings: int, seconds: float) -> None:
        """Returns when there are more rings than these, at the latest after so many seconds."""
        if self.rings == rings:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._next.wait(), seconds)
