"""What a renter reads of the inspection and how he takes what it offers, against a farm that answers as told."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from framelend import cli
from typer.testing import CliRunner

from tests.unit.client.answers import JOB as WHOLE
from tests.unit.client.terminal import Answering, logged_in, said

FINDINGS = [
    {"code": "engine", "severity": "error", "text": "It is EEVEE.", "fix": "Use Cycles.", "change": "render-with-cycles"},
    {"code": "percentage", "severity": "warning", "text": "At 50 %.", "fix": "100 %.", "change": "full-resolution"},
    {"code": "scripts", "severity": "warning", "text": "A script [here].", "fix": "Bake it."},
]
JOB = {**WHOLE, "findings": FINDINGS, "support": "supported with changes"}
Asked = list[tuple[str, Any]]


class Farm(Answering):
    """Knows one job, and answers a change of it with another."""

    asked: ClassVar[Asked] = []
    job: ClassVar[dict[str, Any]] = JOB

    def do_GET(self) -> None:
        self.answer(self.job)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        self.answer({"job": {**JOB, "id": "j-2", "findings": []}, "path": "/jobs/j-2/open?pass=x"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """What the farm is asked that the command is logged in to."""
    Farm.asked, Farm.job = [], JOB
    with logged_in(Farm, monkeypatch):
        yield Farm.asked


def words_of(*words: str) -> str:
    """However wide the terminal."""
    return " ".join(said(*words).split())


def test_the_verdict_stands_below_the_findings_with_the_command_that_takes_the_offers(asked: Asked) -> None:
    text = words_of("quote", "j-1")
    assert "A script [here]." in text
    assert "The file is supported with changes." in text
    assert "framelend apply j-1 render-with-cycles full-resolution" in text


def test_nothing_is_offered_once_it_was_taken(asked: Asked) -> None:
    Farm.job = {**JOB, "replaced_by": "j-2"}
    assert "framelend apply" not in words_of("quote", "j-1")


def test_without_names_only_what_the_errors_need_is_applied(asked: Asked) -> None:
    text = words_of("apply", "j-1")
    assert asked == [("/v1/jobs/j-1/changes", {"changes": ["render-with-cycles"]})]
    assert "framelend quote j-2" in text


def test_a_named_change_is_applied_as_it_is_named(asked: Asked) -> None:
    assert json.loads(words_of("apply", "j-1", "full-resolution", "--json"))["id"] == "j-2"
    assert asked == [("/v1/jobs/j-1/changes", {"changes": ["full-resolution"]})]


def test_a_file_that_needs_nothing_is_left_alone(asked: Asked) -> None:
    Farm.job = {**JOB, "findings": FINDINGS[1:]}
    done = CliRunner().invoke(cli.app, ["apply", "j-1"])
    assert done.exit_code != 0
    assert asked == []
