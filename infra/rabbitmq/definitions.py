"""From contracts.topology to what RabbitMQ's management API takes, and into a broker.

``definitions`` is pure: the same topology and passwords give the same document. ``apply`` may be repeated at will; it
also puts right what an older topology left, but never throws messages away.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from contracts import topology

Document = dict[str, Any]
OURS_ALONE = ("amq.", "agent.")
"""Names that ROUTES does not speak of: the broker's own, and the mailboxes, which the scheduler makes."""


def definitions(vhost: str, passwords: Mapping[str, str], admin: str, shards: int = 1, agents: Iterable[str] = ()) -> Document:
    """The whole document for one virtual host. ``passwords`` is service → password; ``admin`` keeps full access; ``agents``
    that are enrolled are bound to their shards, should the scheduler have several."""
    queues = list(topology.queues(shards))
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(service, password) for service, password in passwords.items()],
        "permissions": [_full(admin, vhost), *(_permission(service, vhost) for service in passwords)],
        "topic_permissions": [row for service in passwords for row in _topic_permissions(service, vhost)],
        "exchanges": [
            *(_exchange(name, kind, vhost) for name, kind in _exchanges().items()),
            *(_exchange(name, "topic", vhost, internal=True) for name in topology.shard_exchanges(shards)),
        ],
        "queues": [_queue(queue, vhost) for queue in queues],
        "bindings": [
            *(row for queue in queues for row in _bindings(queue, vhost)),
            *(_between(way, vhost) for agent in agents for way in topology.ways_to_shard(agent, shards)),
        ],
    }


def password_hash(user: str, password: str) -> str:
    """RabbitMQ's salted SHA-256. The salt follows from the user so that the document stays the same; our passwords are
    random words of 128 bits, which need no salt to withstand guessing."""
    salt = hashlib.sha256(user.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _user(name: str, password: str) -> Document:
    hashed = password_hash(name, password)
    return {"name": name, "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}


def _full(user: str, vhost: str) -> Document:
    return {"user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}


def _permission(service: str, vhost: str) -> Document:
    may = topology.service_permissions(service)
    return {"user": service, "vhost": vhost, "configure": may.configure, "write": may.write, "read": may.read}


def _topic_permissions(service: str, vhost: str) -> list[Document]:
    topics = topology.service_permissions(service).topics
    return [
        {"user": service, "vhost": vhost, "exchange": exchange, "write": write, "read": "^$"}
        for exchange, write in topics.items()
    ]


def _exchanges() -> dict[str, str]:
    return {**topology.EXCHANGES, **dict.fromkeys(topology.retry_exchanges(), "fanout")}


def _exchange(name: str, kind: str, vhost: str, internal: bool = False) -> Document:
    common = {"durable": True, "auto_delete": False, "internal": internal, "arguments": {}}
    return {"name": name, "vhost": vhost, "type": kind, **common}


def _queue(queue: topology.Queue, vhost: str) -> Document:
    return {"name": queue.name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": queue.arguments}


def _bindings(queue: topology.Queue, vhost: str) -> list[Document]:
    common = {"vhost": vhost, "destination": queue.name, "destination_type": "queue", "arguments": {}}
    return [{"source": source, "routing_key": key, **common} for source, key in queue.bindings]


def _between(way: tuple[str, str, str], vhost: str) -> Document:
    source, destination, key = way
    to = {"destination": destination, "destination_type": "exchange", "routing_key": key}
    return {"source": source, "vhost": vhost, "arguments": {}, **to}


STATISTICS_SECONDS = 11.0
"""A quorum queue tells its figures every 5 s (`quorum_tick_interval`), and they are gathered every 5 s."""


class TopologyConflict(Exception):
    """A live queue differs from ROUTES and holds messages, so it can be neither kept nor replaced."""


def apply(management_url: str, admin_auth: tuple[str, str], vhost: str, passwords: Mapping[str, str], shards: int = 1) -> None:
    """Make the virtual host what contracts.topology says, creating it if need be. Safe to repeat. What leads somewhere is made
    before what led elsewhere goes, so that no message finds no way; a queue goes when nothing leads to it any more."""
    with _client(management_url, admin_auth) as client:
        _ok(client.put(f"/api/vhosts/{_name(vhost)}", json={}))
        wanted = definitions(vhost, passwords, admin_auth[0], shards, _agents(client, vhost) if shards > 1 else ())
        arguments = {queue["name"]: queue["arguments"] for queue in wanted["queues"]}
        _remove_queues(client, vhost, lambda live: arguments.get(live["name"], live["arguments"]) != live["arguments"])
        _ok(client.post("/api/definitions", json=wanted))
        _remove_outdated_bindings(client, vhost, wanted)
        _remove_queues(client, vhost, lambda live: live["name"] not in arguments)


def drop(management_url: str, admin_auth: tuple[str, str], vhost: str) -> None:
    """Delete a virtual host with all that is in it; users stay."""
    with _client(management_url, admin_auth) as client:
        _ok(client.delete(f"/api/vhosts/{_name(vhost)}"))


def _client(management_url: str, admin_auth: tuple[str, str]) -> httpx.Client:
    return httpx.Client(base_url=management_url, auth=admin_auth, timeout=60, trust_env=False)


def _ok(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


def _name(text: str) -> str:
    return quote(text, safe="")


def _agents(client: httpx.Client, vhost: str) -> list[str]:
    """Whoever has a mailbox."""
    names = (live["name"] for live in _ok(client.get(f"/api/queues/{_name(vhost)}?columns=name")))
    return [name.removeprefix(topology.mailbox("")) for name in names if name.startswith(topology.mailbox(""))]


def _remove_queues(client: httpx.Client, vhost: str, is_outdated: Callable[[Document], bool]) -> None:
    """The broker would silently keep a queue that exists with other arguments: replace it while it is empty."""
    live = [queue for queue in _ok(client.get(f"/api/queues/{_name(vhost)}")) if not queue["name"].startswith(OURS_ALONE)]
    outdated = {queue["name"]: f"/api/queues/{_name(vhost)}/{_name(queue['name'])}" for queue in live if is_outdated(queue)}
    for name in _in_use(client, outdated):
        raise TopologyConflict(f"queue {name} has other settings than ROUTES and is not empty, or somebody reads it")
    for path in outdated.values():
        _ok(client.delete(path))


def _in_use(client: httpx.Client, queues: Mapping[str, str]) -> list[str]:
    """Those of these (name, path) that had messages or readers, seen for longer than the broker's figures are old. Quorum queues
    know no deletion `if-empty`."""
    until = time.monotonic() + STATISTICS_SECONDS
    while queues:
        used = [name for name, path in queues.items() if _is_used(_ok(client.get(path)))]
        if used or time.monotonic() > until:
            return used
        time.sleep(0.2)
    return []


def _is_used(seen: Document) -> bool:
    return bool(seen.get("messages", 0) or seen.get("consumers", 0))


def _remove_outdated_bindings(client: httpx.Client, vhost: str, wanted: Document) -> None:
    kept = {_binding_key(binding) for binding in wanted["bindings"]}
    for live in _of_ours(_ok(client.get(f"/api/bindings/{_name(vhost)}"))):
        if _binding_key(live) not in kept:
            place = f"{_name(vhost)}/e/{_name(live['source'])}/{live['destination_type'][0]}/{_name(live['destination'])}"
            _ok(client.delete(f"/api/bindings/{place}/{_name(live['properties_key'])}"))


def _of_ours(bindings: Iterable[Document]) -> list[Document]:
    """Leaves out the default exchange's and the mailboxes'."""
    return [row for row in bindings if row["source"] and not row["destination"].startswith(OURS_ALONE)]


def _binding_key(binding: Document) -> tuple[str, str, str]:
    return binding["source"], binding["routing_key"], binding["destination"]
