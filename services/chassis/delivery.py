"""A message as it arrives: who really said it, and what it says.

The broker's own checks have two holes: CC/BCC headers slip past topic permissions, and the user id is optional. So an inbox takes
a message only when the authenticated user id is set and its routing key is exactly this inbox's. Our `x-*` headers are believed
only on deliveries from the default exchange, where only the broker and the operator can publish.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

from contracts.bus import NotAnEvent, read
from contracts.events import Event
from contracts.topology import AGENT, AGENTS, EVENTS, Route
from services.chassis.arrivals import Message
from services.chassis.verdicts import SenderFault

E = TypeVar("E", bound=Event)

RETRY, KEY, SENDER, REASON, VERDICT, INBOX, REFUSED = (
    "x-retry", "x-key", "x-sender", "x-reason", "x-verdict", "x-inbox", "x-identity-refused",
)  # fmt: skip


MOST_DELIVERIES = 50
"""Half of what the broker allows, after which it would drop an agent's message without a word."""


class TooOften(Exception):
    """Handed out again and again without ever being answered for: it may bring down whoever handles it."""


class Impostor(SenderFault):
    """Refused for identity: can never be replayed."""


@dataclass(frozen=True)
class Received(Generic[E]):
    """An event whose sender is known. `sender` is the authenticated user: a service's name or an agent's id."""

    event: E
    sender: str
    id: str
    retries: int
    said_at: datetime
    trace: Mapping[str, str]

    @property
    def age_seconds(self) -> float:
        """Since it was announced; envelopes carry whole seconds."""
        return max(0.0, (datetime.now(UTC) - self.said_at).total_seconds())


def receive(message: Message, row: Route) -> Received[Any]:
    """Raises Impostor, NotAnEvent or TooOften."""
    if deliveries_of(message) > MOST_DELIVERIES:
        raise TooOften(f"handed out {deliveries_of(message)} times")
    sender = sender_of(message, row)
    event = read(row.event.key(), message.body)
    claimed = getattr(getattr(event, "grant", None), "agent", sender)
    if row.publisher == AGENT and claimed != sender:
        raise SenderFault("the grant names another agent")
    return Received(
        event=event,
        sender=sender,
        id=str(message.message_id or ""),
        retries=retries_of(message),
        said_at=message.timestamp or datetime.now(UTC),
        trace=trace_of(message),
    )


def speaker(message: Message) -> str:
    """Whom to hold to account, also for what is refused. On farm.agents the broker ties the first word of the main routing key
    to the user, whatever CC and BCC say and whether or not a user id is given; our deliveries carry the sender in a header."""
    if message.exchange == AGENTS:
        return str(message.routing_key).partition(".")[0]
    remembered = message.headers.get(SENDER) if message.exchange == "" else message.user_id
    return remembered if isinstance(remembered, str) and remembered else "unknown"


def sender_of(message: Message, row: Route) -> str:
    """The authenticated sender. Raises Impostor when the envelope does not prove one."""
    if message.exchange == "":
        return _remembered(message, row)
    user = message.user_id
    expected = f"{user}.{row.event.key()}" if row.publisher == AGENT else row.event.key()
    if not user or message.exchange != (AGENTS if row.publisher == AGENT else EVENTS):
        raise Impostor("no authenticated sender")
    if message.routing_key != expected or (row.publisher != AGENT and user != row.publisher):
        raise Impostor(f"{user} may not say {row.event.key()} under {str(message.routing_key)[:200]!r}")
    return user


def _remembered(message: Message, row: Route) -> str:
    """On a retry or replay the sender stands in our own header."""
    sender = message.headers.get(SENDER)
    if not isinstance(sender, str) or not sender:
        raise Impostor("a retried message without its sender")
    return sender


def retries_of(message: Message) -> int:
    count = message.headers.get(RETRY, 0) if message.exchange == "" else 0
    return count if isinstance(count, int) else 0


def deliveries_of(message: Message) -> int:
    """How often the broker has handed this message out; quorum queues count from the second time on. Until then the header is
    whatever the sender has put there."""
    if not message.redelivered:
        return 1
    count = message.headers.get("x-delivery-count", 0)
    return 1 + (count if isinstance(count, int) else 0)


def trace_of(message: Message) -> dict[str, str]:
    """The W3C trace context; what cannot be one, such as bytes that are no text, is none."""
    headers = cast(Mapping[str, Any], message.headers)
    return {name: value[:512] for name in ("traceparent", "tracestate") if isinstance(value := headers.get(name), str)}


__all__ = [
    "Impostor", "NotAnEvent", "Received", "TooOften", "deliveries_of", "receive", "retries_of", "sender_of", "speaker",
    "trace_of",
]  # fmt: skip
