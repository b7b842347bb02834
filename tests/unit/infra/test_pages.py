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
