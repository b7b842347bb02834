"""What failed is named so that pytest finds it again."""

import subprocess
import sys
from pathlib import Path

from infra.failed_tests import failed

SUITE = """
import pytest

@pytest.mark.parametrize("word", ["good", "bad [1]"])
def test_of(word): assert word == "good"

@pytest.fixture
def broken(): raise RuntimeError

def test_set_up(broken): pass

def test_sound(): pass
"""


def test_failures_and_errors_are_named_as_pytest_takes_them(tmp_path: Path) -> None:
    (tmp_path / "tests" / "deep").mkdir(parents=True)
    (tmp_path / "tests" / "deep" / "test_it.py").write_text(SUITE, encoding="utf-8")
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    subprocess.run((*pytest, "--junitxml=it.xml", "tests"), cwd=tmp_path, capture_output=True, check=False)
    names = list(failed((tmp_path / "it.xml").read_text(encoding="utf-8")))
    assert names == ["tests/deep/test_it.py::test_of[bad [1]]", "tests/deep/test_it.py::test_set_up"]
    again = subprocess.run((*pytest, *names), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 error" in again.stdout
