"""The owner's line to his running agent: a socket in the agent's own folder, which nobody else may enter.

Not on the network: a page in his browser can reach every port of his machine, and must neither read what he does nor pause him.
One request and one answer, each a JSON object on one line.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

NAME = "agent.sock"
MOST_BYTES = 1 << 20
PATIENCE_SECONDS = 5.0
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class NotRunning(Exception):
    """No agent listens in this folder."""


async def open_line(folder: Path, answer: Answer) -> asyncio.Server:
    """Listens until it is closed. `answer` must be quick: it runs in the event loop."""
    with _short(folder) as path:
        server = await asyncio.start_unix_server(_serve(answer), path=path, limit=MOST_BYTES)
        (folder / NAME).chmod(0o600)
    return server


def ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The agent's answer. Raises NotRunning."""
    try:
        with _short(folder) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(PATIENCE_SECONDS)
            line.connect(path)
            line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as answer:
                told = json.loads(answer.readline(MOST_BYTES))
    except (OSError, ValueError):
        raise NotRunning(f"no agent is running in {folder}") from None
    return dict(told)


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A name of the socket that fits into 107 bytes however long the folder's is."""
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}/{NAME}"
    finally:
        os.close(opened)


def _serve(answer: Answer) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                request = json.loads(await reader.readline())
                told = answer(request) if isinstance(request, dict) else {"error": "not a JSON object"}
                writer.write(json.dumps(told).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # whoever asked has gone, or speaks something else
        finally:
            writer.close()

    return serve
