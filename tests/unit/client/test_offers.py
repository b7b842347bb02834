"""What a lender who chooses by hand reads and says at his terminal, against a farm that answers as told."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from tests.unit.client.terminal import Answering, logged_in, said

OFFER: dict[str, Any] = {
    "job": "j-1", "renter": "ada", "frames": 48, "engine": "CYCLES", "memory_bytes": 2_500_000_000, "bundle_bytes": 9_000_000,
    "price_per_wu": "0.01", "work": {"low": 80.0, "expected": 100.0, "high": 140.0}, "pays": "1", "agents": ["ann-1"],
    "answer": "none", "accepted_for": [], "blend": "[red]film.blend", "files": 3, "unpacked_bytes": 20_000_000, "width": 1920,
    "height": 1080, "samples": 64, "picture": False,
    "findings": [{"code": "x", "severity": "warning", "text": "A script will not run.", "fix": "Bake it."}],
}  # fmt: skip


Asked = list[tuple[str, str, Any]]


class Farm(Answering):
    """Answers every question with the offer, and a yes with what it was said for; keeps what it was asked."""

    asked: ClassVar[Asked] = []

    def do_GET(self) -> None:
        self._answer([OFFER] if self.path == "/v1/offers" else OFFER, None)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "null")
        self._answer({**OFFER, "answer": "accepted", "accepted_for": body["agents"]} if body else OFFER, body)

    def _answer(self, told: Any, body: Any) -> None:
        self.asked.append((self.command, self.path, body))
        self.answer(told)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """What the farm is asked that the command is logged in to."""
    Farm.asked = []
    with logged_in(Farm, monkeypatch):
        yield Farm.asked


def test_the_list_says_what_each_job_needs_and_pays(asked: Asked) -> None:
    line = next(line for line in said("offers").splitlines() if "j-1" in line)
    assert line.split()[:6] == ["j-1", "48", "CYCLES", "2.5", "0.01", "1.00"]


def test_one_offer_is_shown_with_its_files_and_findings_before_the_yes(asked: Asked) -> None:
    text = " ".join(said("offers", "j-1").split())
    for words in (
        "[red]film.blend with 3 files",
        "48 of 1920 × 1080",
        "about 1.00 in all (80 to 140 WU)",
        "A script will not run.",
    ):
        assert words in text


def test_yes_names_the_machines_and_no_names_none(asked: Asked) -> None:
    assert "ann-1" in said("accept-offer", "j-1", "--agent", "ann-1")
    said("reject-offer", "j-1")
    assert asked == [("POST", "/v1/offers/j-1/accept", {"agents": ["ann-1"]}), ("POST", "/v1/offers/j-1/reject", None)]
