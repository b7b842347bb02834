"""Requests to the farm: authenticated, repeated when repeating is safe, errors as FarmProblem or FarmUnreachable."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter

from framelend import problems
from framelend.problems import FarmUnreachable

T = TypeVar("T")
TRIES = 5
AGAIN = frozenset({429, 502, 503, 504})
LONGEST_PAUSE = 20.0


class Transport:
    """Every call of the farm's API can be repeated safely: it is a question, or it names what it means to happen once."""

    def __init__(self, url: str, key: str, transport: httpx.BaseTransport | None = None, patience: float = LONGEST_PAUSE) -> None:
        self._patience = patience
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": "framelend"}
        timeout = httpx.Timeout(15.0, read=45.0)
        self.url = url.rstrip("/")
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)

    def call(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        tries: int = TRIES,
    ) -> T:
        """The answer as `kind`. Raises FarmProblem, FarmUnreachable."""
        headers = {"Idempotency-Key": key} if key else {}
        params = {name: value for name, value in (query or {}).items() if value is not None}
        answer = self._answered(method, path, tries, json=body, params=params, headers=headers)
        return TypeAdapter(kind).validate_json(answer.content)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Raises FarmProblem, FarmUnreachable; once it flows, httpx's own TransportError."""
        timeout = httpx.Timeout(15.0, read=40.0)
        try:
            with self.http.stream("GET", path, headers=dict(headers), timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                    raise problems.of(answer)
                yield answer
        except httpx.ConnectError as away:
            raise self._unreachable(away) from away

    def rest(self, attempt: int, said: str | None = None) -> None:
        """Growing, with some chance in it, so that many clients do not come back together."""
        asked = float(said) if said and said.isdigit() else 0.0
        time.sleep(min(self._patience, max(asked, 0.4 * 2**attempt) * random.uniform(0.7, 1.1)))  # noqa: S311

    def _answered(self, method: str, path: str, tries: int, **how: Any) -> httpx.Response:
        for attempt in range(1, tries + 1):
            try:
                answer = self.http.request(method, path, **how)
            except httpx.TransportError as away:
                if attempt == tries:
                    raise self._unreachable(away) from away
                self.rest(attempt)
                continue
            if answer.status_code in AGAIN and attempt < tries:
                self.rest(attempt, answer.headers.get("retry-after"))
                continue
            if answer.is_error:
                raise problems.of(answer)
            return answer
        raise AssertionError("unreachable")

    def _unreachable(self, away: Exception) -> FarmUnreachable:
        return FarmUnreachable(
            f"The farm at {self.url} cannot be reached ({type(away).__name__}). Is the address right, and is it up?"
        )
