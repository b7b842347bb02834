"""`make docs`: rebuild docs/generated and the record of schemas. `--check` writes nothing and exits 1 when something is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.docs import growth
from infra.docs.machines import machines
from infra.docs.pages import asyncapi_page, events_page, openapi_page, states_page

FOLDER = Path("docs/generated")


def pages() -> dict[str, str]:
    """File name → text of every generated page."""
    return {
        "events.md": events_page(),
        "asyncapi.yaml": asyncapi_page(),
        "openapi.json": openapi_page(),
        "states.md": states_page(machines()),
    }


def stale() -> list[str]:
    """Files that differ from what the code says now."""
    found = [name for name, text in pages().items() if not _same(FOLDER / name, text)]
    if growth.recorded() != growth.schemas():
        found.append(str(growth.RECORD))
    return found


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def main() -> int:
    if "--check" in sys.argv[1:]:
        wrong = stale()
        print(f"stale: {', '.join(wrong)}; run `make docs`" if wrong else "docs/generated is up to date")
        return 1 if wrong else 0
    growth.record()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
    print(f"docs: {', '.join(pages())} in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
