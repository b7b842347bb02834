"""What the routes stand on, and who is asking."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from prometheus_client import Gauge

from contracts.events import Event
from services.chassis.clock import DatabaseClock
from services.chassis.repository import Saved
from services.intake.domain import passes
from services.intake.domain.accounts import Account, Role, require
from services.intake.domain.codes import Terms
from services.intake.domain.jobs import Job
from services.intake.domain.rates import Rate, Tokens, taken
from services.intake.domain.refusals import Refused, Why, unknown
from services.intake.http.addresses import Addresses
from services.intake.repository.memory import Memory

STREAMS = Gauge("framelend_intake_streams", "Watchers with an open stream")
WAITS = Gauge("framelend_intake_waits", "Requests that wait on purpose for something to change")
COOKIE = "framelend_page"
STRANGERS = Rate(per_second=1, burst=20)
"""Wrong keys from one host."""
GUESSES = Rate(per_second=0.2, burst=10)
"""Wrong one-time codes from one host; above that it is told to slow down, and a good one still gets through."""
MOST_NAMES = 20_000
MOST_OPEN = 30
"""Streams open at once, per account, and as many requests that wait: each of them looks again every second."""


class Limiter:
    """Token buckets of this process, by name."""

    def __init__(self, rate: Rate) -> None:
        self._rate, self._tokens = rate, dict[str, Tokens]()

    def take(self, name: str) -> None:
        """Raises Refused when the name has asked too often."""
        if len(self._tokens) > MOST_NAMES:
            self._tokens.clear()  # everybody starts full again: kinder than growing without end
        self._tokens[name], wait = taken(self._tokens.get(name), self._rate, time.monotonic())
        if wait:
            text = f"This account or host asks faster than {self._rate.per_second:g} times a second."
            raise Refused(Why.TOO_MANY, "too-many-requests", text, f"Wait {max(1, round(wait))} s and slow down.")


class Open:
    """How many requests that stay open there are of one sort, per account, in this process."""

    def __init__(self, code: str, text: str, gauge: Gauge) -> None:
        self._code, self._text, self._gauge = code, text, gauge
        self._open: dict[str, int] = {}

    def enter(self, account: str) -> None:
        """Raises Refused when the account has as many as it may."""
        if self._open.get(account, 0) >= MOST_OPEN:
            raise Refused(Why.TOO_MANY, self._code, self._text, "Let some of them end.")
        self._open[account] = self._open.get(account, 0) + 1
        self._gauge.inc()

    def leave(self, account: str) -> None:
        self._gauge.dec()
        self._open[account] -= 1
        if not self._open[account]:
            del self._open[account]

    @contextmanager
    def one(self, account: str, seconds: float) -> Iterator[None]:
        """Counted while it lasts; what does not wait is not. Raises Refused."""
        if seconds <= 0:
            yield
            return
        self.enter(account)
        try:
            yield
        finally:
            self.leave(account)


def streams() -> Open:
    return Open("too-many-streams", f"This account has {MOST_OPEN} streams open already.", STREAMS)


def waits() -> Open:
    return Open("too-many-waits", f"This account has {MOST_OPEN} requests waiting for news already.", WAITS)


@dataclass(frozen=True)
class Desk:
    memory: Memory
    clock: DatabaseClock
    say: Callable[[Event], Awaitable[None]]
    addresses: Addresses
    page_key: bytes
    webhook_key: bytes
    accounts_rate: Limiter
    strangers_rate: Limiter = field(default_factory=lambda: Limiter(STRANGERS))
    streams: Open = field(default_factory=streams)
    waits: Open = field(default_factory=waits)
    codes_rate: Limiter = field(default_factory=lambda: Limiter(GUESSES))
    store_origin: str = ""
    terms: Terms = field(default_factory=Terms)


def the_desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(the_desk)]


async def caller(request: Request, desk: TheDesk) -> Saved[Account]:
    """The account whose API key came as `Authorization: Bearer`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _nobody("no-key", "The request carries no API key.")
    found = await desk.memory.accounts.of_key(key.strip())
    if found is None:
        desk.strangers_rate.take(request.client.host if request.client else "")
        raise _nobody("unknown-key", "This API key is not known here.")
    desk.accounts_rate.take(found.id)
    return found


Caller = Annotated[Saved[Account], Depends(caller)]


def _role(role: Role) -> Callable[..., Awaitable[Saved[Account]]]:
    async def checked(who: Caller) -> Saved[Account]:
        require(who.state, role)
        return who

    return checked


Renter = Annotated[Saved[Account], Depends(_role(Role.RENTER))]
Lender = Annotated[Saved[Account], Depends(_role(Role.LENDER))]
Operator = Annotated[Saved[Account], Depends(_role(Role.OPERATOR))]


async def own_job(request: Request, desk: TheDesk, job: str) -> Saved[Job]:
    """The job in the address, for its owner: by API key, or by the pass of its page. Everybody else is told it is unknown."""
    account = await _passed(request, desk, job)
    if account is None:
        account = (await caller(request, desk)).id
    found = await desk.memory.jobs.of(account, job)
    if found is None:
        raise unknown("job")
    return found


OwnJob = Annotated[Saved[Job], Depends(own_job)]


@dataclass(frozen=True)
class Steered:
    """A job, and the account that steers it: its owner's or the operator's."""

    saved: Saved[Job]
    by: str


async def steered_job(request: Request, desk: TheDesk, job: str) -> Steered:
    """As `own_job`; the operator may steer every job."""
    account = await _passed(request, desk, job)
    if account is None:
        who = await caller(request, desk)
        found = await desk.memory.jobs.saved.read(job) if Role.OPERATOR in who.state.roles else None
        if found is not None:
            return Steered(found, who.id)
        account = who.id
    owned = await desk.memory.jobs.of(account, job)
    if owned is None:
        raise unknown("job")
    return Steered(owned, account)


SteeredJob = Annotated[Steered, Depends(steered_job)]


async def _passed(request: Request, desk: Desk, job: str) -> str | None:
    """The account of a page pass. A pass may change things only from its own page."""
    text = request.cookies.get(COOKIE)
    if text is None or "authorization" in request.headers:
        return None
    found = passes.opened(text, passes.PAGE, job, desk.page_key, await desk.clock.now())
    if found is None:
        return None
    if request.method not in ("GET", "HEAD") and not from_own_page(request):
        raise Refused(Why.FORBIDDEN, "foreign-page", "Another site's page sent this.", "Use the job's own page.")
    desk.accounts_rate.take(found.account)
    return found.account


def from_own_page(request: Request) -> bool:
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")


def idempotency_key(request: Request) -> str:
    """Raises Refused: what costs money must be repeatable without paying twice."""
    key = request.headers.get("idempotency-key", "").strip()
    if not 1 <= len(key) <= 200:
        text = "This request needs an Idempotency-Key header of 1 to 200 characters."
        raise Refused(
            Why.MALFORMED,
            "idempotency-key-missing",
            text,
            "Send a fresh random key, and the same one when you repeat the request.",
        )
    return key


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


def _nobody(code: str, text: str) -> Refused:
    return Refused(Why.UNAUTHENTICATED, code, text, "Send `Authorization: Bearer <your API key>`; the operator opens accounts.")
