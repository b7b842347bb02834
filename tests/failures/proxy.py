"""Docker's socket behind a door that can be shut: for the agent behind it the engine is gone, for everybody else it is not.

Or the engine is there and refuses one thing for a while, as it does when its own helpers hang.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from infra.local.engine import host

WORDS = b'{"message": "the engine will not now"}'
REFUSAL = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(WORDS) + WORDS
)


class Door:
    """`address` is what the agent's DOCKER_HOST names."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._writers: set[asyncio.StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self._is_shut = False
        self.kills_to_refuse, self.kills_refused = 0, 0

    @property
    def address(self) -> str:
        return f"unix://{self._socket}"

    async def open(self) -> None:
        self._is_shut = False
        if self._listening is None:
            self._listening = await asyncio.start_unix_server(self._serve, self._socket)

    async def shut(self) -> None:
        """As when Docker is stopped: nobody answers, and every connection breaks."""
        self._is_shut = True
        for writer in list(self._writers):
            writer.transport.abort()

    async def leave(self) -> None:
        await self.shut()
        if self._listening is not None:
            self._listening.close()
        self._socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_shut:
            return writer.transport.abort()
        with contextlib.suppress(OSError):
            engine_reader, engine_writer = await asyncio.open_unix_connection(host().removeprefix("unix://"))
            self._writers |= {writer, engine_writer}
            await asyncio.gather(self._asked(reader, engine_writer, writer), _pass_on(engine_reader, writer))
            self._writers -= {writer, engine_writer}
            engine_writer.close()
        writer.close()

    async def _asked(self, reader: asyncio.StreamReader, engine: asyncio.StreamWriter, asker: asyncio.StreamWriter) -> None:
        """The agent's client sends a request's head at once and the next one when it has its answer."""

        def is_let_in(block: bytes) -> bool:
            head = block.partition(b"\r\n")[0]
            if self.kills_to_refuse == self.kills_refused or not (head.startswith(b"POST ") and b"/kill" in head):
                return True
            self.kills_refused += 1
            asker.write(REFUSAL)
            return False

        await _pass_on(reader, engine, is_let_in)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_let_in: Callable[[bytes], bool] = lambda _: True
) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(1 << 16):
            if is_let_in(block):
                writer.write(block)
                await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@asynccontextmanager
async def a_door(folder: Path) -> AsyncIterator[Door]:
    door = Door(folder / "docker.sock")
    await door.open()
    try:
        yield door
    finally:
        await door.leave()
