"""Agents' broker users, through RabbitMQ's management API: exactly one mailbox and the own keys each, and gone when revoked."""

import base64
import hashlib
from typing import Any
from urllib.parse import quote

import httpx

from contracts.topology import AGENT_LIMITS, MAILBOX_ARGUMENTS, MAILBOXES, agent_permissions, mailbox, ways_to_shard
from services.chassis.verdicts import WorldAway
from services.scheduler.domain.traffic import Counted, Volume

MISSING = 404
SECONDS = 9.0
"""Three calls let an agent in, and no handler may run longer than 30 s."""


class Broker:
    """`vhost` is the farm's, `shards` how many the scheduler has. Raises WorldAway when the API cannot be reached or refuses."""

    def __init__(
        self, url: str, user: str, password: str, vhost: str, transport: httpx.BaseTransport | None = None, shards: int = 1
    ) -> None:
        self._client = httpx.Client(base_url=url, auth=(user, password), timeout=SECONDS, trust_env=False, transport=transport)
        self._vhost, self._shards = vhost, shards

    def close(self) -> None:
        self._client.close()

    def admit(self, agent: str, secret_hash: str) -> None:
        """User, permissions, mailbox and its binding in one request, then the limits. Safe to repeat; the last secret counts, and
        connections that are open stay open."""
        self._call("POST", "/api/definitions", definitions(agent, secret_hash, self._vhost, self._shards))
        for name, value in AGENT_LIMITS.items():
            self._call("PUT", f"/api/user-limits/{_word(agent)}/{name}", {"value": value})

    def expel(self, agent: str) -> None:
        """Deletes the user, which closes its connections within milliseconds, its mailbox, and its way to its shard."""
        self._call("DELETE", f"/api/users/{_word(agent)}")
        self._call("DELETE", f"/api/queues/{_word(self._vhost)}/{_word(mailbox(agent))}")
        for source, destination, key in ways_to_shard(agent, self._shards):
            way = f"{_word(source)}/e/{_word(destination)}/{_word(_word(key))}"
            self._call("DELETE", f"/api/bindings/{_word(self._vhost)}/e/{way}")

    def traffic(self) -> list[Counted]:
        """Of each open connection: its user and what it has brought in."""
        found = self._call("GET", f"/api/vhosts/{_word(self._vhost)}/connections?columns=name,user,recv_oct,recv_cnt").json()
        return [Counted(str(one.get("name", "")), str(one.get("user", "")), _brought(one)) for one in found]

    def unanswered(self) -> dict[str, int]:
        """Agent → messages that it has taken from its mailbox and not acked. They do not count for the mailbox's bounds, and stay
        in the broker's memory as long as its connection. Whose queue was not counted yet is left out."""
        found = self._call("GET", f"/api/queues/{_word(self._vhost)}?columns=name,messages_unacknowledged").json()
        held = {str(one.get("name", "")): one.get("messages_unacknowledged") for one in found}
        stem = mailbox("")
        return {name.removeprefix(stem): n for name, n in held.items() if name.startswith(stem) and isinstance(n, int)}

    def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as away:
            raise WorldAway(f"the broker's management API: {away}") from away
        if answer.is_error and not (method == "DELETE" and answer.status_code == MISSING):
            raise WorldAway(f"the broker's management API refused {method} {path.split('/')[2]}: {answer.status_code}")
        return answer


def definitions(agent: str, secret_hash: str, vhost: str, shards: int = 1) -> dict[str, Any]:
    """Everything an agent is at the broker, but its limits."""
    may, queue = agent_permissions(agent), mailbox(agent)
    return {
        "users": [
            {
                "name": agent,
                "password_hash": secret_hash,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
        ],
        "permissions": [{"user": agent, "vhost": vhost, "configure": may.configure, "write": may.write, "read": may.read}],
        "topic_permissions": [
            {"user": agent, "vhost": vhost, "exchange": exchange, "write": keys, "read": "^$"}
            for exchange, keys in may.topics.items()
        ],
        "queues": [{"name": queue, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": dict(MAILBOX_ARGUMENTS)}],
        "bindings": [
            _binding(vhost, MAILBOXES, "queue", queue, agent),
            *(_binding(vhost, source, "exchange", to, key) for source, to, key in ways_to_shard(agent, shards)),
        ],
    }


def _binding(vhost: str, source: str, kind: str, destination: str, key: str) -> dict[str, Any]:
    to = {"destination": destination, "destination_type": kind, "routing_key": key}
    return {"source": source, "vhost": vhost, **to, "arguments": {}}


def _brought(connection: dict[str, Any]) -> Volume:
    """A connection just opened is not counted yet."""
    found = (connection.get(name, 0) for name in ("recv_oct", "recv_cnt"))
    return Volume(*(float(one) if isinstance(one, int) else 0.0 for one in found))


def hashed(secret: str, salt: bytes) -> str:
    """`salt` is 4 bytes. RabbitMQ's rabbit_password_hashing_sha256."""
    return base64.b64encode(salt + hashlib.sha256(salt + secret.encode()).digest()).decode()


def _word(name: str) -> str:
    return quote(name, safe="")
