"""Passes: short signed texts that open one job's page in a browser, so that no API key ever stands in an address.

A link pass lives minutes and stands in the address only until it is exchanged for a page pass, which lives hours in an HttpOnly
cookie. Both name one account and one job, and nothing else can be done with them.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

LINK_LIFE = timedelta(minutes=15)
PAGE_LIFE = timedelta(hours=12)
LINK, PAGE = "link", "page"


@dataclass(frozen=True)
class Pass:
    purpose: str
    account: str
    job: str
    until: datetime


def sealed(what: Pass, key: bytes) -> str:
    """The pass as text for an address or cookie."""
    body = _body(what)
    return f"{int(what.until.timestamp())}.{what.account}.{_mac(body, key)}"


def opened(text: str, purpose: str, job: str, key: bytes, now: datetime) -> Pass | None:
    """The pass in the text, or None when it is not ours, not for this job and purpose, or over."""
    parts = text.split(".")
    if len(parts) != 3 or not parts[0].isascii() or not parts[0].isdigit() or len(parts[0]) > 11:
        return None
    found = Pass(purpose, parts[1], job, datetime.fromtimestamp(int(parts[0]), now.tzinfo))
    good = hmac.compare_digest(_mac(_body(found), key).encode(), parts[2].encode())
    return found if good and now < found.until else None


def _body(what: Pass) -> str:
    return "\n".join((what.purpose, what.account, what.job, str(int(what.until.timestamp()))))


def _mac(body: str, key: bytes) -> str:
    return base64.urlsafe_b64encode(hmac.new(key, body.encode(), hashlib.sha256).digest()).decode().rstrip("=")
