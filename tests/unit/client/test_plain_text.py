"""Names, reasons and logs of others are shown as they are: never markup, never orders to the terminal."""

import io
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from framelend import cli
from framelend.terminal import plain, table
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from tests.unit.client.answers import JOB
from tests.unit.client.terminal import Answering, logged_in

ODD = "shot[final] [/x] :bomb: \x1b]52;c;ZXZpbA==\x07"
SHOWN = "shot[final] [/x] :bomb: \ufffd]52;c;ZXZpbA==\ufffd"
BALANCES = dict.fromkeys(("available", "held", "pending", "payable", "debt"), "1")
ACCOUNT = {"id": "a-1", "name": ODD, "email": "a@b.example", "roles": ["renter"], "webhook": None, "balances": BALANCES}
AGENT = {
    "id": "m-1", "name": ODD, "owner": "o", "state": "draining", "reason": ODD, "wu_per_minute": 1.0, "cores": 2.0,
    "house": False, "hardware": {}, "seen_at": None,
}  # fmt: skip
STEERED = {**JOB, "name": ODD, "reason": ODD, "state": "estimating", "ended": False}


class Farm(Answering):
    """Everything in it has an odd name."""

    answers: ClassVar[dict[str, Any]] = {
        "/v1/jobs": [STEERED], "/v1/jobs/j-1": STEERED, "/v1/account": ACCOUNT, "/v1/accounts": [ACCOUNT], "/v1/agents": [AGENT],
        "/v1/agents/m-1/orders": AGENT, "/v1/farm": {"order": "pause", "since": None, "revision": 1, "notice": ODD},
    }  # fmt: skip

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(self.answers[self.path.partition("?")[0]])

    do_POST = do_PATCH = do_GET


@pytest.fixture
def farm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "300")
    with logged_in(Farm, monkeypatch):
        yield


@pytest.mark.parametrize(
    "words",
    ["jobs", "account", "agents", "agents drain m-1", "quote j-1", "job set j-1 --priority 5", "ops accounts", "ops drain m-1",
     "ops farm"],
)  # fmt: skip
def test_every_list_and_sentence_shows_a_name_as_it_is(farm: None, words: str) -> None:
    done = CliRunner().invoke(cli.app, words.split())
    assert done.exit_code == 0, done.exc_info
    assert SHOWN in done.output


def printed(markup: Any) -> str:
    file = io.StringIO()
    Console(file=file, width=300, emoji=False, highlight=False).print(markup, end="")
    return file.getvalue()


ODD_TEXTS = st.text(st.sampled_from("[]/\\#@=ax :\x1b\x9b\x00\udcff"), max_size=20)


@given(ODD_TEXTS, ODD_TEXTS)
def test_no_text_and_no_two_of_them_become_markup(one: str, other: str) -> None:
    shown = printed(f"[bold]{plain(one)}[/] {plain(other)}]")
    assert [shown.count(mark) for mark in "[/"] == [(one + other).count(mark) for mark in "[/"]
    assert not {"\x1b", "\x9b", "\x00"} & set(shown)


@given(ODD_TEXTS)
def test_no_cell_of_a_table_becomes_markup(text: str) -> None:
    rows = table("name")
    rows.add_row(text)
    shown = printed(rows)
    assert [shown.count(mark) for mark in "[]/\\"] == [text.count(mark) for mark in "[]/\\"]
    assert not {"\x1b", "\x9b", "\x00"} & set(shown)
