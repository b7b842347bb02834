"""RabbitMQ's management API in memory, as far as the scheduler uses it: a transport under the real client."""

import json
from collections.abc import Callable

import httpx

from services.scheduler.broker import Broker


class Management:
    """`users`: name → password hash. `before` runs ahead of each request and may raise, as a broken link does."""

    def __init__(self) -> None:
        self.users, self.queues, self.limits = dict[str, str](), set[str](), set[tuple[str, str]]()
        self.calls: list[str] = []
        self.connections: list[dict[str, object]] = []
        self.mailboxes: list[dict[str, object]] = []
        self.before: Callable[[httpx.Request], None] = lambda _: None

    def broker(self) -> Broker:
        return Broker("http://broker", "scheduler", "x", "farm", httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.before(request)
        parts = request.url.path.split("/")[2:]
        self.calls.append(f"{request.method} {parts[0]}")
        match request.method, parts:
            case "POST", ["definitions"]:
                made = json.loads(request.content)
                self.users |= {user["name"]: user["password_hash"] for user in made["users"]}
                self.queues |= {queue["name"] for queue in made["queues"]}
            case "PUT", ["user-limits", user, name]:
                self.limits.add((user, name))
            case "DELETE", ["users", user]:
                return httpx.Response(204 if self.users.pop(user, None) else 404)
            case "DELETE", ["queues", _, queue]:
                self.queues.discard(queue)
            case "GET", ["vhosts", _, "connections"]:
                return httpx.Response(200, json=self.connections)
            case "GET", ["queues", _]:
                return httpx.Response(200, json=self.mailboxes)
            case _:
                return httpx.Response(405)
        return httpx.Response(204)
