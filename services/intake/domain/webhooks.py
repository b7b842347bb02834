"""The secret by which a renter recognises our calls: it follows from the account, so that notifier derives the same one."""

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

from services.intake.domain.refusals import Refused, Why


def secret(account: str, key: bytes) -> str:
    """As Standard Webhooks writes it: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(hmac.new(key, account.encode(), hashlib.sha256).digest()).decode()


def checked(url: str) -> str:
    """Raises Refused for what cannot be called. Whether the address may be called is notifier's to decide, when it calls."""
    if not _can_be_called(url):
        text = "A webhook is an http or https address without user name and password."
        raise Refused(Why.INVALID, "invalid-webhook", text, "Correct the address and send it again.")
    return url


def _can_be_called(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # what resolving it begins with: no empty label, none above 63 letters
        return parts.scheme in ("http", "https") and host != b"" and parts.port != 0 and not (parts.username or parts.password)
    except ValueError:
        return False
