"""One fact on its way to one person by one channel.

Theory. A record is made with the fact (its id follows from the fact's natural key, so the same fact told twice is one record), is
leased by a worker while it sends, and ends as sent or given up (only the operator takes it back from there). A lease that runs
out means a crash between sending and recording: the record is taken again and sent under the same id.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Channel(StrEnum):
    MAIL = "mail"
    WEBHOOK = "webhook"


class Progress(StrEnum):
    DUE = "due"
    SENDING = "sending"
    """Leased until `due_at`."""
    SENT = "sent"
    FAILED = "failed"
    """Given up; `problem` says why."""


TABLE: dict[Progress, frozenset[Progress]] = {
    Progress.DUE: frozenset({Progress.SENDING}),
    Progress.SENDING: frozenset({Progress.SENDING, Progress.SENT, Progress.DUE, Progress.FAILED}),
    Progress.SENT: frozenset(),
    Progress.FAILED: frozenset({Progress.DUE}),
}


class IllegalMove(Exception):
    """Not in the table."""


@dataclass(frozen=True)
class Delivery:
    """`fact` is the event's natural key, `event_key` and `body` the event itself. `tries` counts the sendings begun."""

    fact: str
    channel: Channel
    account: str
    event_key: str
    body: str
    due_at: datetime
    job: str | None = None
    progress: Progress = Progress.DUE
    tries: int = 0
    problem: str = ""
    sent_at: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.fact}:{self.channel}"

    def to(self, progress: Progress, **changes: object) -> "Delivery":
        if progress not in TABLE[self.progress]:
            raise IllegalMove(f"{self.id}: {self.progress} → {progress}")
        return replace(self, progress=progress, **changes)  # type: ignore[arg-type]  # the callers below name real fields


def is_open(delivery: Delivery, now: datetime) -> bool:
    """May be taken: due, or its lease has run out."""
    return delivery.progress in (Progress.DUE, Progress.SENDING) and delivery.due_at <= now


def taken(delivery: Delivery, now: datetime, lease: timedelta) -> Delivery:
    return delivery.to(Progress.SENDING, tries=delivery.tries + 1, due_at=now + lease)


def sent(delivery: Delivery, now: datetime) -> Delivery:
    return delivery.to(Progress.SENT, sent_at=now, problem="")


def failed(delivery: Delivery, problem: str, waits: tuple[float, ...], now: datetime, final: bool = False) -> Delivery:
    """Due again after the next of `waits` seconds, or given up when they are used up or trying again is `final`ly useless."""
    if final or delivery.tries > len(waits):
        return delivery.to(Progress.FAILED, problem=problem[:500])
    wait = timedelta(seconds=waits[delivery.tries - 1])
    return delivery.to(Progress.DUE, due_at=now + wait, problem=problem[:500])


def again(delivery: Delivery, now: datetime) -> Delivery:
    """What was given up has all its tries once more; anything else stays as it is."""
    if delivery.progress is not Progress.FAILED:
        return delivery
    return delivery.to(Progress.DUE, due_at=now, tries=0)


def message_id(fact: str, domain: str) -> str:
    """Of the mail that tells this fact; readable, so that an operator finds it in a mail log."""
    return f"<{fact.replace(':', '.')}@{domain}>"


def webhook_id(fact: str) -> str:
    return "msg_" + hashlib.sha256(fact.encode()).hexdigest()[:32]
