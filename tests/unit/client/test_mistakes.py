"""What people get wrong ends in a sentence and an exit code, never in the insides of the program."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from framelend import Client, FramelendError, cli
from framelend.problems import FarmMoved, LocalProblem
from typer.testing import CliRunner

from tests.unit.client.answers import JOB
from tests.unit.client.terminal import Answering, logged_in

FILE = {"name": "film.mp4", "bytes": 3, "sha256": "0" * 64}


class Farm(Answering):
    job: ClassVar[dict[str, Any]] = {**JOB, "files": [FILE]}

    def do_GET(self) -> None:
        self.answer(self.job)


@pytest.fixture
def farm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with logged_in(Farm, monkeypatch):
        yield


def told(*words: str) -> str:
    """However wide the terminal."""
    done = CliRunner().invoke(cli.app, list(words))
    assert (done.exit_code, type(done.exception)) == (1, SystemExit), done.exc_info
    return " ".join(done.stderr.split())


@pytest.mark.parametrize("url", ["http://[::1", "ftp://farm.example", "http://", "farm.example", "http://farm.example:99999"])
def test_what_is_no_address_is_said_to_be_none(url: str) -> None:
    with pytest.raises(LocalProblem, match="no address"):
        Client(url, "key")


@pytest.mark.parametrize("key", ["ключ", "fl_key\n", "fl\x00key"])
def test_what_is_no_key_is_said_to_be_none(key: str) -> None:
    with pytest.raises(LocalProblem, match="no API key"):
        Client("http://farm.example", key)


def test_a_key_of_the_environment_that_is_none_is_told(farm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMELEND_KEY", "ключ")
    assert "no API key" in told("account")


def answered(*answers: httpx.Response) -> tuple[str, list[httpx.Request]]:
    """What a client says of such an answer, and what it asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[len(asked) - 1]

    transport = httpx.MockTransport(answer)
    with (
        Client("http://farm.example", "fl_key", transport=transport, patience=0.01) as client,
        pytest.raises(FramelendError) as raised,
    ):
        client.account()
    return str(raised.value), asked


def test_an_address_that_sends_on_is_told_and_the_key_is_not_carried_there() -> None:
    words, asked = answered(httpx.Response(301, headers={"location": "https://farm.example/v1/account"}))
    assert "framelend login https://farm.example" in words.split(". ")[-1]
    assert [str(one.url) for one in asked] == ["http://farm.example/v1/account"]
    words, _ = answered(httpx.Response(302, headers={"location": "https://sso.example/login?to=x"}))
    assert "framelend login" not in words
    assert "https://sso.example/login?to=x" in words


def test_a_stream_that_sends_on_is_told_as_well() -> None:
    moved = httpx.MockTransport(lambda _: httpx.Response(308, headers={"location": "https://farm.example/v1/x"}))
    with Client("http://farm.example", "k", transport=moved, patience=0.01) as client, pytest.raises(FarmMoved):
        next(client.follow("j-1"))


@pytest.mark.parametrize("page", [httpx.Response(200, html="<html>hi</html>"), httpx.Response(204), httpx.Response(304)])
def test_any_page_is_no_farm(page: httpx.Response) -> None:
    assert "not a Framelend farm" in answered(page)[0]


def test_a_farm_of_another_age_is_not_said_to_be_none() -> None:
    assert "up to date" in answered(httpx.Response(200, json={"id": 1}))[0]


def test_a_folder_that_is_a_file_is_told(farm: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "file: File exists" in told("download", "j-1", "--to", str(tmp_path / "file"))


def test_a_path_that_is_no_text_is_told(farm: None, tmp_path: Path) -> None:
    assert "does not exist" in told("submit", str(tmp_path / "\udcff.blend"))
