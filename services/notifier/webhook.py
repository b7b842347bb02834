"""Webhooks out, signed as Standard Webhooks has it, to addresses of strangers.

The host is resolved once, every address it has is judged, and the connection goes to the very address that was judged, with the
host's name in TLS and in the Host header: a name that resolves differently a moment later gains nothing. No redirects, no
proxies, ten seconds in all, and the answer's body is not read.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
from dataclasses import dataclass
from datetime import datetime

import httpx
from standardwebhooks.webhooks import Webhook

from services.notifier.domain.addresses import is_public
from services.notifier.sending import Refused, Unsent

SECONDS = 10
GONE = 410


@dataclass(frozen=True)
class Call:
    """One request. `id` follows from the fact; the body is the same at every try, the timestamp is the try's."""

    url: str
    id: str
    body: str
    at: datetime


def body(event_key: str, event: str) -> str:
    """`event` is the event's JSON."""
    return json.dumps({"type": event_key, "data": json.loads(event)}, separators=(",", ":"), sort_keys=True)


def secret(account: str, key: bytes) -> str:
    """What the account's receiver checks signatures with; intake shows the same to the account. Derived, never stored."""
    return "whsec_" + base64.b64encode(hmac.new(key, account.encode(), hashlib.sha256).digest()).decode()


def headers(call: Call, account_secret: str) -> dict[str, str]:
    signature = Webhook(account_secret).sign(call.id, call.at, call.body)
    return {
        "content-type": "application/json",
        "user-agent": "framelend-webhook/1",
        "webhook-id": call.id,
        "webhook-timestamp": str(int(call.at.timestamp())),
        "webhook-signature": signature,
    }


class Webhooks:
    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=SECONDS)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, call: Call, account_secret: str) -> None:
        """Raises Refused for an address we never call and for 410 Gone, Unsent for everything else that is not a 2xx."""
        try:
            async with asyncio.timeout(SECONDS):
                status = await self._post(call, account_secret)
        except (httpx.HTTPError, OSError, TimeoutError) as problem:
            raise Unsent(f"{type(problem).__name__}: {problem}") from problem
        if status == GONE:
            raise Refused("the receiver says it is gone for good (410)")
        if not 200 <= status < 300:
            raise Unsent(f"the receiver answered {status}")

    async def _post(self, call: Call, account_secret: str) -> int:
        """The answer's status, from the first of the host's addresses that takes a connection."""
        url = _checked(call.url)
        problem: Exception = Unsent(f"{url.host} has no address")
        for address in await self._addresses(url):
            request = self._client.build_request(
                "POST",
                url.copy_with(host=address),
                headers={**headers(call, account_secret), "host": url.netloc.decode()},
                content=call.body.encode(),
                extensions={"sni_hostname": url.host},
            )
            try:
                answer = await self._client.send(request, stream=True)
            except httpx.ConnectError as unreachable:
                problem = unreachable
                continue
            await answer.aclose()
            return answer.status_code
        raise problem

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """What to connect to. Raises Refused when any of it is not for strangers."""
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except UnicodeError as wrong:  # a name that cannot be asked for: an empty label, or one too long
            raise Refused(f"not an address: {wrong}") from wrong
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise Refused(f"{url.host} is an address inside a private network")
        return addresses


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as wrong:
        raise Refused(f"not an address: {wrong}") from wrong
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise Refused("a webhook is an http or https address without user name and password")
    return parsed
