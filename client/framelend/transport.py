"""Requests to the farm: authenticated, repeated when repeating is safe, errors as FarmProblem or FarmUnreachable."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from framelend import problems
from framelend.problems import FarmMoved, FarmUnreachable, LocalProblem

T = TypeVar("T")
TRIES = 5
AGAIN = frozenset({429, 502, 503, 504})
LONGEST_PAUSE = 20.0
LAST_PORT = 65_535


class Transport:
    """Every call of the farm's API can be repeated safely: it is a question, or it names what it means to happen once."""

    def __init__(self, url: str, key: str, transport: httpx.BaseTransport | None = None, patience: float = LONGEST_PAUSE) -> None:
        """Raises LocalProblem for what can be no address or no key."""
        self._patience = patience
        _check(url, key)
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
        """The answer as `kind`. Raises FarmProblem, FarmUnreachable, FarmMoved."""
        headers = {"Idempotency-Key": key} if key else {}
        params = {name: value for name, value in (query or {}).items() if value is not None}
        answer = self._answered(method, path, tries, json=body, params=params, headers=headers)
        try:
            return TypeAdapter(kind).validate_json(answer.content)
        except ValidationError:
            raise problems.of(answer) from None

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Raises FarmProblem, FarmUnreachable, FarmMoved; once it flows, httpx's own TransportError."""
        timeout = httpx.Timeout(15.0, read=40.0)
        try:
            with self.http.stream("GET", path, headers=dict(headers), timeout=timeout) as answer:
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    answer.read()
                    raise self._wrong(answer)
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
            if not answer.is_success:
                raise self._wrong(answer)
            return answer
        raise AssertionError("unreachable")

    def _wrong(self, answer: httpx.Response) -> Exception:
        """A farm answers itself. Nobody is followed elsewhere by himself: the key goes only where one logged in."""
        if answer.next_request is None:
            return problems.of(answer)
        whole, asked = str(answer.next_request.url), answer.request.url.raw_path.decode()
        to = whole.removesuffix(asked)
        advice = "Check the farm's address." if to == whole else f"If you trust that: framelend login {to}"
        return FarmMoved(f"{self.url} does not answer itself and points to {to}. {advice}")

    def _unreachable(self, away: Exception) -> FarmUnreachable:
        return FarmUnreachable(
            f"The farm at {self.url} cannot be reached ({type(away).__name__}). Is the address right, and is it up?"
        )


def _check(url: str, key: str) -> None:
    try:
        at = httpx.URL(url)
    except httpx.InvalidURL as wrong:
        raise LocalProblem(f"{url!r} is no address of a farm: {wrong}.") from None
    if at.scheme not in ("http", "https") or not at.host or (at.port or 0) > LAST_PORT:
        raise LocalProblem(f"{url!r} is no address of a farm; one is like https://farm.example.")
    if not (key.isascii() and key.isprintable()):
        raise LocalProblem("That is no API key: it holds characters no key has.")
