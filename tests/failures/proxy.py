"""Docker's socket behind a door that can be shut: for the agent behind it the engine is gone, for everybody else it is not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.local.engine import host


class Door:
    """`address` is what the agent's DOCKER_HOST names."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._writers: set[asyncio.StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self._is_shut = False

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
            await asyncio.gather(_pass_on(reader, engine_writer), _pass_on(engine_reader, writer))
            self._writers -= {writer, engine_writer}


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(1 << 16):
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
