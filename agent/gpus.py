"""Asks NVIDIA's driver about its GPUs. A machine without that driver has none, which is no failure."""

import asyncio
import contextlib
import shutil
import time

from agent.domain import gpus
from agent.domain.gpus import Card

PROGRAM = "nvidia-smi"
ANSWER_SECONDS = 5.0
FRESH_SECONDS = 4.0
"""Several attempts that look at once ask once."""


class Gpus:
    """`program`: where to find nvidia-smi; None looks for it on the path."""

    def __init__(self, program: str | None = None) -> None:
        self._program = program or shutil.which(PROGRAM)
        self._seen: tuple[Card, ...] = ()
        self._seen_at = -FRESH_SECONDS
        self._turn = asyncio.Lock()

    async def cards(self) -> tuple[Card, ...]:
        """As they are now, at most some seconds old."""
        if self._program is None:
            return ()
        async with self._turn:
            if time.monotonic() - self._seen_at >= FRESH_SECONDS:
                self._seen, self._seen_at = gpus.cards(gpus.rows(await self._asked(self._program))), time.monotonic()
        return self._seen

    async def card(self, id: str | None) -> Card | None:
        return next((card for card in await self.cards() if card.id == id), None) if id else None

    async def _asked(self, program: str) -> str:
        """Nothing when it fails or hangs: a lost driver means lost GPUs."""
        words = (program, f"--query-gpu={','.join(gpus.COLUMNS)}", "--format=csv,noheader,nounits")
        try:
            asked = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
        except OSError:
            return ""
        try:
            said, _ = await asyncio.wait_for(asked.communicate(), ANSWER_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                asked.kill()
            await asked.wait()
            return ""
        return said.decode(errors="replace") if asked.returncode == 0 else ""
