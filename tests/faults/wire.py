"""A wire between one service and a server it talks to, on which certain words, or the answer to them, can be held.

The moments between saving, announcing and acking last milliseconds. With its words (or the answer to them) held on the wire, the
service stays in exactly that moment until it is killed: no luck, and nobody else is held up.
"""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from enum import StrEnum

_NAME = re.compile(rb"connection_nameS(.{4})", re.DOTALL)
READ = 65_536
LONGEST_WORDS = 100


class Way(StrEnum):
    SAID = "said"
    """From the service to the server."""
    ANSWERED = "answered"
    """From the server to the service."""


@dataclass
class _Line:
    """One connection through the wire. `name` is what an AMQP client calls its connection."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    name: str = ""
    head: bytes = b""
    tail: bytes = b""
    """The end of what was said last: words may come in two pieces."""
    held: Way | None = None
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    pumps: list["asyncio.Task[None]"] = field(default_factory=list)


class Wire:
    """Listens on a port of its own and passes everything on to `port`, until told to hold."""

    def __init__(self, port: int) -> None:
        self._server_port, self.port = port, 0
        self._server: asyncio.Server | None = None
        self._lines: list[_Line] = []
        self._trap: tuple[str, bytes, Way] | None = None
        self._flows = asyncio.Event()
        self._flows.set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def hold(self, name: str, words: str, way: Way) -> None:
        """The next connection of this name that says these words is held there: SAID before they arrive, ANSWERED after they
        have arrived and before any answer."""
        self._trap = (name, words.encode(), way)

    def stall(self) -> None:
        """Every connection stays, and nothing passes on any of them, until `flow` is called: a server that hangs."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    def holds(self) -> bool:
        return any(line.held for line in self._lines)

    def release(self) -> None:
        """What is held goes on as if nothing had been."""
        for line in self._lines:
            line.held = None
            line.let_go.set()

    async def shut(self) -> None:
        """Nobody gets through any more, and nobody is let in, until `open` is called again: the same port."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        """What is held is lost and every connection broken; new ones pass freely."""
        lines, self._lines = self._lines, []
        for line in lines:
            for pump in line.pumps:
                pump.cancel()
            for end in (line.near, line.far):
                end.transport.abort()
        await asyncio.gather(*(pump for line in lines for pump in line.pumps), return_exceptions=True)
        self._trap = None

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(writer, far)
        self._lines.append(line)
        line.pumps = [
            asyncio.create_task(self._pump(line, reader, far, Way.SAID)),
            asyncio.create_task(self._pump(line, far_reader, writer, Way.ANSWERED)),
        ]

    async def _pump(self, line: _Line, source: asyncio.StreamReader, target: asyncio.StreamWriter, way: Way) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while data := await source.read(READ):
                if way is Way.SAID:
                    self._listen(line, data)
                if line.held is way:
                    await line.let_go.wait()  # or until the wire is cut
                await self._flows.wait()
                target.write(data)
                await target.drain()
        target.close()

    def _listen(self, line: _Line, data: bytes) -> None:
        if not line.name:
            _learn(line, data)
        if self._trap is not None and self._trap[0] in ("", line.name) and self._trap[1] in line.tail + data:
            line.held, self._trap = self._trap[2], None
        line.tail = data[-LONGEST_WORDS:]


def _learn(line: _Line, data: bytes) -> None:
    """The connection's name stands in the client's first frames as a long string of its properties."""
    line.head = (line.head + data)[:READ]
    if found := _NAME.search(line.head):
        length = int.from_bytes(found.group(1), "big")
        line.name = line.head[found.end() : found.end() + length].decode()
