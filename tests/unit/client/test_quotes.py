"""A quote says what can still be done about it."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from tests.unit.client.answers import ACCEPTED, QUOTE, QUOTED
from tests.unit.client.terminal import Answering, logged_in, said

REFUSAL = {"version": 1, "needed": "1.5", "available": "1", "text": "Top up 0.5 credits."}
CLOSED = {**QUOTE, "open": False}


class Farm(Answering):
    job: ClassVar[dict[str, Any]] = QUOTED

    def do_GET(self) -> None:
        self.answer(self.job)


@pytest.fixture
def farm(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Farm]]:
    Farm.job = QUOTED
    with logged_in(Farm, monkeypatch):
        yield Farm


def shown() -> str:
    """However wide the terminal."""
    return " ".join(said("quote", "j-1").split())


def test_an_open_quote_is_to_be_accepted(farm: type[Farm]) -> None:
    assert "Open until 2027-01-01 00:00 UTC. Accept with: framelend accept j-1" in shown()


def test_the_quote_of_an_ended_job_is_not_offered(farm: type[Farm]) -> None:
    farm.job = {**QUOTED, "state": "expired", "ended": True, "quote": CLOSED}
    assert "It is over" in shown()
    farm.job = {**farm.job, "max_cost": "1", "quote": {**CLOSED, "within_max_cost": False}}
    assert "framelend accept" not in shown()
    assert "It is over" in shown()


def test_a_quote_whose_money_was_refused_is_to_be_accepted_again(farm: type[Farm]) -> None:
    farm.job = {**ACCEPTED, "refusal": REFUSAL, "quote": {**QUOTE, "answer": "accepted"}}
    assert "could not be held. Top up 0.5 credits. Open until" in shown()
    assert "framelend accept j-1" in shown()
    assert "You have accepted it" not in shown()


@pytest.mark.parametrize("answer", ["accepted", "declined"])
def test_a_quote_that_was_answered_is_told_as_answered(farm: type[Farm], answer: str) -> None:
    farm.job = {**QUOTED, "quote": {**CLOSED, "answer": answer}}
    assert f"You have {answer} it." in shown()
    assert "framelend accept" not in shown()


def test_a_quote_above_the_limit_is_told_as_such(farm: type[Farm]) -> None:
    farm.job = {**QUOTED, "max_cost": "1", "quote": {**CLOSED, "within_max_cost": False}}
    assert "above your limit of 1.00 credits" in shown()
