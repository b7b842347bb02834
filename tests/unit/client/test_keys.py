"""Keys spend money: they go nowhere in the clear unasked, and a new one is never lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from framelend import cli, config
from framelend.config import Login
from typer.testing import CliRunner, Result

from tests.unit.client.terminal import Answering, logged_in

NEW = "fl_new"


class Farm(Answering):
    def do_POST(self) -> None:
        self.answer({"account": "ann", "key": NEW})


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Ann is logged in by her file."""
    with logged_in(Farm, monkeypatch):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.delenv("FRAMELEND_KEY")
        config.save(Login("http://127.0.0.1:1", "fl_old"))
        yield tmp_path / "config" / "framelend"


def rotated(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["rotate-key", *words])


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_new_key_is_shown_and_remembered(home: Path, words: tuple[str, ...]) -> None:
    done = rotated(*words)
    assert done.exit_code == 0
    assert NEW in done.stdout
    assert config.login().key == NEW


def test_a_new_key_that_cannot_be_remembered_is_shown_nevertheless(home: Path) -> None:
    (home / "config.new").mkdir()  # where the file would be written first
    done = rotated()
    assert (done.exit_code, config.login().key) == (1, "fl_old")
    assert NEW in done.stdout
    assert "could not be remembered" in done.stderr


def test_a_key_of_the_environment_takes_nobodys_login(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMELEND_KEY", "fl_of_bob")
    done = rotated("--json")
    assert done.exit_code == 0
    assert NEW in done.stdout
    assert "FRAMELEND_KEY" in done.stderr
    monkeypatch.delenv("FRAMELEND_KEY")
    assert config.login().key == "fl_old"


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("farm.example", "https://farm.example"),
        ("farm.example:8443/x", "https://farm.example:8443/x"),
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("127.0.0.1.evil.example", "https://127.0.0.1.evil.example"),
        ("http://farm.example", "http://farm.example"),
        ("HTTP://farm.example", "HTTP://farm.example"),
        ("[::1", "https://[::1"),
    ],
)
def test_an_address_without_a_scheme_is_http_to_this_machine_only(typed: str, address: str) -> None:
    assert config.address(typed) == address
    assert config.in_clear(address) == (typed.lower() == "http://farm.example")


def test_a_key_that_would_go_in_the_clear_is_told_of() -> None:
    done = CliRunner().invoke(cli.app, ["login", "http://farm.invalid", "--key", "ключ"])
    assert "unencrypted" in done.stderr
    assert "unencrypted" not in CliRunner().invoke(cli.app, ["login", "farm.invalid", "--key", "ключ"]).stderr
