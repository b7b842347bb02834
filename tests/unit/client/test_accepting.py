"""A renter is told that his money is held when it is, and by the exit code when it is not."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import typer
from framelend import cli, submitting
from framelend.models import Job
from typer.testing import CliRunner, Result

from tests.unit.client.answers import ACCEPTED, QUOTED
from tests.unit.client.terminal import Answering, logged_in

REFUSAL = {"version": 1, "needed": "1.5", "available": "1", "text": "Top up 0.5 credits."}


class Farm(Answering):
    """Shows a quoted job, and once that is accepted what came of it."""

    before: ClassVar[dict[str, Any]] = QUOTED
    after: ClassVar[dict[str, Any]] = ACCEPTED
    accepted: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.answer(self.after if self.accepted else self.before)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.accepted.append(self.path)
        self.answer(self.before)


@pytest.fixture
def farm(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Farm]]:
    Farm.before, Farm.after, Farm.accepted = QUOTED, ACCEPTED, []
    with logged_in(Farm, monkeypatch):
        yield Farm


def typed(*words: str) -> Result:
    return CliRunner().invoke(cli.app, list(words))


def test_what_is_held_is_said_to_be_held(farm: type[Farm]) -> None:
    farm.after = {**ACCEPTED, "state": "scheduled", "held": "1.5"}
    done = typed("accept", "j-1")
    assert (done.exit_code, "1.50 credits are held" in done.stderr) == (0, True), done.output


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_is_not_held_yet_is_not_said_to_be_held(farm: type[Farm], form: tuple[str, ...]) -> None:
    done = typed("accept", "j-1", "--wait", "0", *form)
    assert done.exit_code == 7, done.output
    assert "are held" not in done.output
    assert "has not held the 1.50 credits yet" in done.stderr
    assert json.loads(done.stdout)["id"] == "j-1" if form else "framelend watch j-1" in done.stdout


def test_money_that_was_refused_is_no_acceptance(farm: type[Farm]) -> None:
    farm.after = {**ACCEPTED, "refusal": REFUSAL}
    done = typed("accept", "j-1")
    assert (done.exit_code, "Top up 0.5 credits." in done.stderr) == (6, True), done.output


def test_a_job_that_ended_meanwhile_is_told_as_ended(farm: type[Farm]) -> None:
    farm.after = {**ACCEPTED, "state": "expired", "ended": True, "reason": "Too late."}
    done = typed("accept", "j-1")
    assert (done.exit_code, "Too late." in done.stderr) == (4, True), done.output


def test_a_submission_tells_the_same_by_its_exit_code() -> None:
    with pytest.raises(typer.Exit) as left:
        submitting._told(Job.model_validate(ACCEPTED), json=True, watched=False)
    assert left.value.exit_code == 7
    submitting._told(Job.model_validate({**ACCEPTED, "state": "scheduled", "held": "1.5"}), json=True, watched=False)
