"""What a renter asks for is read before anything is sent; what he accepted is told as it is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
from framelend import cli
from framelend.problems import LocalProblem
from framelend.reading import amount, frame_list, moment
from typer.core import TyperGroup, TyperOption
from typer.testing import CliRunner

from tests.unit.client.answers import QUOTED, UPLOAD
from tests.unit.client.terminal import Answering, logged_in, said

Asked = list[tuple[str, Any]]


class Farm(Answering):
    """Has every bundle already, and quotes every job at once."""

    asked: ClassVar[Asked] = []
    job: ClassVar[dict[str, Any]] = QUOTED

    def do_GET(self) -> None:
        self.answer(UPLOAD if "/uploads/" in self.path else self.job)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        self.asked.append((self.path, body))
        self.answer(UPLOAD if self.path.startswith("/v1/uploads") else self.job)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Asked]:
    """What the farm is asked that the command is logged in to, in a folder that holds a scene."""
    Farm.asked, Farm.job = [], QUOTED
    (tmp_path / "s.blend").write_bytes(b"BLENDER")
    monkeypatch.chdir(tmp_path)
    with logged_in(Farm, monkeypatch):
        yield Farm.asked


def help_of(command: str, option: str) -> str:
    group = typer.main.get_command(cli.app)
    assert isinstance(group, TyperGroup)
    named = [one for one in group.commands[command].params if option in one.opts]
    assert isinstance(named[0], TyperOption)
    return str(named[0].help)


@pytest.mark.parametrize("option", ["--deadline", "--start-at"])
def test_the_moment_that_the_help_gives_as_example_is_understood(asked: Asked, option: str) -> None:
    example = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", help_of("submit", option))
    assert example is not None
    said("submit", "s.blend", option, example[0])
    told = dict(asked)["/v1/jobs"][option.removeprefix("--").replace("-", "_")]
    assert moment(told) == moment(example[0])


@pytest.mark.parametrize(
    "wrong",
    [
        ("--price", "nan"),
        ("--max-cost", "0"),
        ("--frames", "1-x"),
        ("--frames", ""),
        ("--deadline", "tomorrow"),
        ("--start-at", ""),
        ("--accept", "nan"),
        ("--accept", "inf"),
        ("--accept", ""),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(asked: Asked, wrong: tuple[str, str]) -> None:
    done = CliRunner().invoke(cli.app, ["submit", "s.blend", *wrong])
    assert (done.exit_code, type(done.exception)) == (1, SystemExit), done.output
    assert asked == []


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "0.000", "1e3", "0.0000001", "", "1,5", "ten", "²"])
def test_an_amount_is_a_number_above_zero_that_the_farm_can_count(text: str) -> None:
    with pytest.raises(LocalProblem, match="no amount"):
        amount(text)
    assert str(amount(" 12.5 ")) == "12.5"


@pytest.mark.parametrize("text", ["", ",", "x", "1-", "5-1", "1-5x0", "1--", "1.5", "1-48;q", "³", "1-LONG", "1-5xLONG"])
def test_a_frame_list_that_the_farm_cannot_read_is_refused_here(text: str) -> None:
    with pytest.raises(LocalProblem, match="frame"):
        frame_list(text.replace("LONG", "9" * 5_000))


@pytest.mark.parametrize("text", ["1", "-5--1", "1-48,60,100-200x2", "3; 5", " 7 , 9-9 "])
def test_a_frame_list_goes_to_the_farm_as_it_was_written(text: str) -> None:
    assert frame_list(text) == text
