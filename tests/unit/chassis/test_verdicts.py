"""Whose fault an exception is: what ran out of its time is the world's, under whatever name the driver says so."""

import pytest
from pymongo.errors import (
    BulkWriteError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from contracts.bus import NotAnEvent
from services.chassis.verdicts import NotYet, SenderFault, Verdict, verdict

OUT_OF_TIME = {"writeErrors": [{"index": 0, "code": 50, "errmsg": "operation exceeded time limit"}], "writeConcernErrors": []}
REFUSED = {"writeErrors": [{"index": 0, "code": 66, "errmsg": "immutable"}], "writeConcernErrors": []}


@pytest.mark.parametrize(
    ("raised", "whose"),
    [
        (None, Verdict.DONE),
        (SenderFault("not yours"), Verdict.SENDER),
        (NotAnEvent("no JSON"), Verdict.SENDER),
        (NotYet("no such job"), Verdict.NOT_YET),
        (ServerSelectionTimeoutError("nobody there"), Verdict.WORLD),
        (NetworkTimeout("no answer"), Verdict.WORLD),
        (ExecutionTimeout("operation exceeded time limit", 50), Verdict.WORLD),
        (WTimeoutError("not copied in time", 64), Verdict.WORLD),
        (BulkWriteError(OUT_OF_TIME), Verdict.WORLD),
        (BulkWriteError(REFUSED), Verdict.OURS),
        (OperationFailure("not allowed", 13), Verdict.OURS),
        (ZeroDivisionError(), Verdict.OURS),
    ],
)
def test_an_exception_has_one_at_fault(raised: BaseException | None, whose: Verdict) -> None:
    assert verdict(raised) is whose
