"""Pages people read lead somewhere: every relative link of the README and of docs/ exists."""

import re
from pathlib import Path

import pytest

PAGES = [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    gone = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert gone == []


def test_every_decision_is_in_the_list() -> None:
    listed = Path("docs/decisions/README.md").read_text()
    assert [page.name for page in Path("docs/decisions").glob("0*.md") if f"({page.name})" not in listed] == []


def block_of(heading: str) -> list[str]:
    """The first commands below this heading of the README, without what is said of them."""
    found = re.search(rf"^## {heading}\n.*?^```\n(.*?)^```", Path("README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return [line.partition("  #")[0].strip() for line in found[1].splitlines()]


def test_what_an_operator_types_is_there_once_the_farm_is_up() -> None:
    typed = block_of("As an operator")
    assert [line for line in typed if not line.startswith(("make ", ".venv/bin/framelend ", ".venv/bin/python -m infra."))] == []


def test_what_a_renter_types_first_is_not_refused_by_debians_python() -> None:
    """There pip installs into environments only."""
    typed = block_of("As a renter")
    assert [line for line in typed if re.match(r"(python3 -m )?pip3? install", line)] == []
    assert "pipx install ./client" in typed
