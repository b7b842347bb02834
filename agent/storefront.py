"""Where the farm's store is, as its signed addresses tell, and how far this machine's clock is from its own."""

import contextlib
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

LOOK_SECONDS = 10.0


class Unanswered(Exception):
    """Nobody there, or nobody who says what time it is."""


async def ahead(url: str) -> float:
    """By how many seconds our clock is ahead of theirs who answer there: any answer will do. Raises Unanswered."""
    try:
        async with httpx.AsyncClient(timeout=LOOK_SECONDS, trust_env=False) as http:
            answer = await http.get(url)
        return time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (httpx.HTTPError, httpx.InvalidURL) as why:
        raise Unanswered(str(why) or type(why).__name__) from None
    except (KeyError, ValueError):
        raise Unanswered("what answers there is neither a farm nor a store") from None


class Storefront:
    """The origin last seen is kept in the agent's folder, for `doctor`: an agent is told no addresses but signed ones."""

    def __init__(self, folder: Path) -> None:
        self._kept = folder / "store.txt"
        self.origin = self._read()

    async def seen(self, answer: httpx.Response) -> None:
        """Of a transfer. The origin alone is kept: the rest of a signed address is a secret."""
        url = answer.request.url
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        if origin != self.origin:
            self.origin = origin
            with contextlib.suppress(OSError):  # a full disk must not spoil the transfer
                self._kept.write_text(origin, encoding="ascii")

    def _read(self) -> str | None:
        try:
            return self._kept.read_text(encoding="ascii").strip() or None
        except (OSError, ValueError):
            return None
