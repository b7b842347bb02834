"""A mail server that delivers nothing: every mail it takes becomes one .eml file in a folder."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Catcher:
    """aiosmtpd's handler protocol."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Write the mail as it came, with its envelope's recipients on top; a reader never sees half a file."""
        name = f"{time.time_ns()}-{next(self._numbers)}"
        recipients = "".join(f"X-Envelope-To: {address}\r\n" for address in envelope.rcpt_tos)
        draft = self._folder / f".{name}.part"
        draft.write_bytes(recipients.encode() + (envelope.original_content or b""))
        draft.replace(self._folder / f"{name}.eml")
        return "250 taken"


async def serve(port: int, folder: Path) -> None:
    catcher = Catcher(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(catcher, hostname="localhost", loop=loop), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--folder", type=Path, required=True)
    chosen = options.parse_args()
    asyncio.run(serve(chosen.port, chosen.folder))


if __name__ == "__main__":
    main()
