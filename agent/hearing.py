"""What a container says, taken off the wire: lines of stdout, counted bytes between them, the tail of stderr. All of it bounded.

Docker's stream blocks, so a thread reads it. Blocks wait in a short queue for the event loop; when that is full, the thread stops
reading and the container waits.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable

STDERR_BYTES = 64 << 10
"""Of its tail that is kept."""
STDERR_MOST_BYTES = 64 << 20
"""Blender writes kilobytes; more than this is a flood."""
WAITING_BLOCKS = 64
TOO_LONG = b"\0too long"
"""Stands for a line that was longer than allowed."""
TOO_MUCH = b"\0too much"
"""Stands for a stderr that does not stop."""
Blocks = Iterable[tuple[bytes | None, bytes | None]]
"""Of stdout and of stderr, as they come."""


class CutShort(Exception):
    """Stdout ended within the bytes that were promised."""


class Voice:
    """Of one container. Read with `line` and `counted`, by one reader, in the event loop."""

    def __init__(self, line_bytes: int, most_stderr: int | None = STDERR_MOST_BYTES) -> None:
        self._most_line, self._most_stderr = line_bytes, most_stderr
        self._blocks: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING_BLOCKS)
        self._loop = asyncio.get_running_loop()
        self._rest = bytearray()
        self._ended = False
        self._deaf = False
        self._flooded = self._told = False
        self._stderr: deque[bytes] = deque()
        self._stderr_bytes = self._kept = 0

    # --- by the reader

    async def line(self) -> bytes | None:
        """The next line without its end, TOO_LONG or TOO_MUCH for what cannot be heard; None when nothing more comes."""
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if self._flooded and not self._told:
                self._told = True
                return TOO_MUCH
            if len(self._rest) > self._most_line:
                self._rest.clear()
                return TOO_LONG
            if not await self._more():
                return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line if len(line) <= self._most_line else TOO_LONG

    async def counted(self, count: int) -> AsyncIterator[bytes]:
        """The next `count` bytes as blocks. Raises CutShort."""
        while count:
            if not self._rest and not await self._more():
                raise CutShort
            block = bytes(self._rest[:count])
            del self._rest[: len(block)]
            count -= len(block)
            if block:
                yield block

    async def _more(self) -> bool:
        if self._ended:
            return False
        block = await self._blocks.get()
        if block is None:
            self._ended = True
            return False
        self._rest += block
        return True

    def close(self) -> None:
        """Nothing is heard any more; whoever waits to be heard goes on."""
        self._deaf = True
        while not self._blocks.empty():
            self._blocks.get_nowait()

    def stderr(self) -> str:
        return b"".join(self._stderr)[-STDERR_BYTES:].decode(errors="replace")

    # --- by the thread

    def listen(self, blocks: Blocks, broken: tuple[type[Exception], ...]) -> None:
        """Starts the thread. One of `broken` means that the connection has gone: whoever waits for the container learns more."""
        threading.Thread(target=self._listen, args=(blocks, broken), daemon=True).start()

    def _listen(self, blocks: Blocks, broken: tuple[type[Exception], ...]) -> None:
        try:
            with contextlib.suppress(*broken):
                for out, err in blocks:
                    if err:
                        self._keep(err)
                    if out:
                        self._pass_on(out)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop may be closed
                self._pass_on(None)

    def _keep(self, err: bytes) -> None:
        self._stderr.append(err)
        self._kept += len(err)
        self._stderr_bytes += len(err)
        while self._kept > 2 * STDERR_BYTES and len(self._stderr) > 1:
            self._kept -= len(self._stderr.popleft())
        if self._most_stderr is not None and self._stderr_bytes > self._most_stderr and not self._flooded:
            self._flooded = True
            self._pass_on(b"")

    def _pass_on(self, block: bytes | None) -> None:
        if self._deaf:
            return
        put = self._blocks.put(block)
        try:
            asyncio.run_coroutine_threadsafe(put, self._loop).result()
        except RuntimeError:
            put.close()
            raise
