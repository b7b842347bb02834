"""Whose fault is it, and what becomes of the message: decided once, for every inbox.

| fault | of a service | of an agent |
|---|---|---|
| the sender's (invalid, not yours) | parked | acked and counted; one example per agent and minute is parked |
| the world's (database, store, network away) | retried with growing delay | the consumer waits until it is back |
| not yet (the fact it rests on has not arrived) | retried with growing delay | retried, bounded |
| ours (anything else) | parked, error, alert | parked, error, alert |
"""

from enum import StrEnum

from aio_pika.exceptions import AMQPError
from pymongo.errors import AutoReconnect, ConnectionFailure, ExecutionTimeout, NetworkTimeout, PyMongoError

from contracts.bus import NotAnEvent, NotAnnounced


class SenderFault(Exception):
    """The sender said something it may not say or that makes no sense; the text goes on the record."""


class NotYet(Exception):
    """What this fact rests on has not arrived; no order is assumed on the bus."""


class WorldAway(Exception):
    """A database, store or other peer cannot be reached. Raised by adapters that know their own errors."""


class Verdict(StrEnum):
    DONE = "done"
    SENDER = "sender_fault"
    NOT_YET = "not_yet"
    WORLD = "world_away"
    OURS = "our_fault"


_WORLD = (
    WorldAway, NotAnnounced, AutoReconnect, ConnectionFailure, NetworkTimeout, ExecutionTimeout, AMQPError, ConnectionError,
    TimeoutError,
)  # fmt: skip


def verdict(raised: BaseException | None) -> Verdict:
    """What an exception out of a handler means."""
    if raised is None:
        return Verdict.DONE
    if isinstance(raised, SenderFault | NotAnEvent):
        return Verdict.SENDER
    if isinstance(raised, NotYet):
        return Verdict.NOT_YET
    return Verdict.WORLD if isinstance(raised, _WORLD) or _out_of_time(raised) else Verdict.OURS


def _out_of_time(raised: BaseException) -> bool:
    """A group of writes, or one that waits for its copies, runs out of its time under another name."""
    return isinstance(raised, PyMongoError) and raised.timeout
