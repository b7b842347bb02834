"""`python -m infra.failed_tests FILE.xml …`: what failed according to pytest's JUnit files, a line each, as pytest takes it.

For infra/test.sh, which asks once more alone what failed beside others (decision 0037).
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree


def failed(report: str) -> Iterator[str]:
    """`path.py::test[parameters]` of each test with a failure or an error, once."""
    found = dict.fromkeys(
        f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        for case in ElementTree.fromstring(report).iter("testcase")  # our own pytest wrote it
        if case.find("failure") is not None or case.find("error") is not None
    )
    yield from found


def main(paths: list[str]) -> None:
    for path in map(Path, paths):
        for name in failed(path.read_text(encoding="utf-8")) if path.exists() else ():
            print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
