"""What the database says of an insertion of which a part was there before."""

from typing import Any

import pytest

from services.chassis.repository import only_there_already

THERE = {"index": 3, "code": 11000}


def test_those_that_were_there_are_named() -> None:
    assert only_there_already({"writeErrors": [THERE, {"index": 5, "code": 11000}], "writeConcernErrors": []}) == {3, 5}


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"writeErrors": [THERE, {"index": 4, "code": 121}]},
        {"writeErrors": [THERE], "writeConcernErrors": [{"code": 91}]},
        {"writeErrors": [], "writeConcernErrors": [{"code": 64}]},
    ],
    ids=["nothing", "another_error", "not_safe_yet", "not_safe_yet_alone"],
)
def test_anything_else_is_a_failure(details: dict[str, Any]) -> None:
    assert only_there_already(details) is None
