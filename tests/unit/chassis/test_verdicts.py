"""Whose fault an exception is: what ran out of its time is the world's, under whatever name the driver says so."""

import pytest
from pymongo.errors import (
    BulkWriteError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from contracts.bus import NotAnEvent, NotAnnounced, TooLarge
from services.chassis.verdicts import NotYet, SenderFault, Verdict, verdict

OUT_OF_TIME = {"writeErrors": [{"index": 0, "code": 50, "errmsg": "operation exceeded time limit"}], "writeConcernErrors": []}
REFUSED = {"writeErrors": [{"index": 0, "code": 66, "errmsg": "immutable"}], "writeConcernErrors": []}
LEAVING = (91, 189, 10107, 11600, 11602, 13435, 13436, 64)


def answer(*codes: int, **more: object) -> BulkWriteError:
    """As `insert_many` and `bulk_write` tell it."""
    return BulkWriteError({"writeErrors": [{"index": 0, "code": code} for code in codes], "writeConcernErrors": [], **more})


@pytest.mark.parametrize(
    ("raised", "whose"),
    [
        (None, Verdict.DONE),
        (SenderFault("not yours"), Verdict.SENDER),
        (NotAnEvent("no JSON"), Verdict.SENDER),
        (NotYet("no such job"), Verdict.NOT_YET),
        (NotAnnounced("broker away"), Verdict.WORLD),
        (TooLarge("for any message, also tomorrow"), Verdict.OURS),
        (ServerSelectionTimeoutError("nobody there"), Verdict.WORLD),
        (NetworkTimeout("no answer"), Verdict.WORLD),
        (ExecutionTimeout("operation exceeded time limit", 50), Verdict.WORLD),
        (WTimeoutError("not copied in time", 64), Verdict.WORLD),
        (BulkWriteError(OUT_OF_TIME), Verdict.WORLD),
        (BulkWriteError(REFUSED), Verdict.OURS),
        (WriteConcernError("shutting down", 91), Verdict.WORLD),
        (answer(11600, 66), Verdict.OURS),
        (answer(11000), Verdict.OURS),
        (answer(11000, 66), Verdict.OURS),
        (answer(11000, 66, writeConcernErrors=[{"code": 91}]), Verdict.OURS),
        (answer(66, writeConcernErrors=[{"code": 91}]), Verdict.OURS),
        (OperationFailure("not allowed", 13), Verdict.OURS),
        (OperationFailure("no such transaction", 251), Verdict.OURS),
        (OperationFailure("no such transaction", 251, {"errorLabels": ["TransientTransactionError"]}), Verdict.WORLD),
        (ZeroDivisionError(), Verdict.OURS),
    ],
)
def test_an_exception_has_one_at_fault(raised: BaseException | None, whose: Verdict) -> None:
    assert verdict(raised) is whose


@pytest.mark.parametrize("code", LEAVING)
def test_a_server_that_stops_in_the_middle_of_writes_is_the_worlds_fault_wherever_it_says_so(code: int) -> None:
    assert verdict(answer(code)) is Verdict.WORLD
    assert verdict(answer(writeConcernErrors=[{"code": code}])) is Verdict.WORLD
    assert verdict(answer(writeConcernError={"code": code})) is Verdict.WORLD


@pytest.mark.parametrize("code", LEAVING)
def test_an_insertion_that_finds_some_there_while_the_server_leaves_is_made_again(code: int) -> None:
    assert verdict(answer(11000, code)) is Verdict.WORLD
    assert verdict(answer(11000, writeConcernErrors=[{"code": code}])) is Verdict.WORLD
