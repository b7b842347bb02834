"""Whose fault is it, and what becomes of the message: decided once, for every inbox.

| fault | of a service | of an agent |
|---|---|---|
| the sender's (invalid, not yours) | parked | acked and counted; one example per agent and minute is parked |
| the world's (database, store, network away) | retried with growing delay | the consumer waits until it is back |
| not yet (the fact it rests on has not arrived) | retried with growing delay | retried, bounded |
| ours (anything else) | parked, error, alert | parked, error, alert |
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from aio_pika.exceptions import AMQPError
from pymongo.errors import AutoReconnect, ConnectionFailure, ExecutionTimeout, NetworkTimeout, OperationFailure, PyMongoError

from contracts.bus import NotAnEvent, NotAnnounced, TooLarge


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
LEAVING = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
"""MongoDB's codes of a server that stops, or hands its place over (the driver's own list of them)."""
_OUT_OF_TIME = frozenset({50, 64})
_AGAIN = "TransientTransactionError"
"""MongoDB's word for a transaction of which nothing was kept and that should be made again: a server that was started again has
forgotten it. Motor's `with_transaction` makes it again only while its callback runs, not when the commit is told so."""
_THERE = 11000
"""That a document was there already; no fault of its own where a server leaves in the middle of an insertion."""


def verdict(raised: BaseException | None) -> Verdict:
    """What an exception out of a handler means."""
    if raised is None:
        return Verdict.DONE
    if isinstance(raised, SenderFault | NotAnEvent):
        return Verdict.SENDER
    if isinstance(raised, NotYet):
        return Verdict.NOT_YET
    if isinstance(raised, TooLarge):
        return Verdict.OURS
    return Verdict.WORLD if isinstance(raised, _WORLD) or _goes_away(raised) else Verdict.OURS


def codes(answer: Mapping[str, Any]) -> set[int]:
    """Of all that went wrong in an answer to writes, also where the document itself was written but not yet copied."""
    one = answer.get("writeConcernError")
    faults = (*answer.get("writeErrors", ()), *answer.get("writeConcernErrors", ()), *((one,) if one else ()))
    return {fault["code"] for fault in faults}


def _goes_away(raised: BaseException) -> bool:
    """Writes meet a server that stops, or run out of their time, under other names than a connection does."""
    if isinstance(raised, PyMongoError) and (raised.timeout or raised.has_error_label(_AGAIN)):
        return True
    if not isinstance(raised, OperationFailure):
        return False
    met = codes(raised.details or {}) or {raised.code or 0}
    return met != {_THERE} and met <= LEAVING | _OUT_OF_TIME | {_THERE}
