"""Making the Debian image comes to an end whichever of its two programs fails, and says what both said."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT, PYTHON

MAKE = "from infra.images import debian; debian._make()"
FULL = "echo 'no space left on device' >&2; exit 1"
AWAY = "cat >/dev/null; echo 'unexpected EOF' >&2; exit 1"
ENDLESS = "exec yes"
HANGS_UP = "yes; kill -HUP 0"
"""As mmdebstrap does to its whole group when nobody takes what it makes."""
TALKS = "yes 'Could not resolve host' | head -c 1000000 >&2; exit 1"


@pytest.mark.parametrize(
    ("docker", "maker", "words"),
    [
        (FULL, ENDLESS, ("no space left on device",)),
        (FULL, HANGS_UP, ("no space left on device",)),
        (AWAY, TALKS, ("unexpected EOF", "resolve host")),
    ],
    ids=["the import fails while the maker writes", "the maker then ends its group", "the maker fails with many words"],
)
def test_a_failure_on_either_side_is_told(tmp_path: Path, docker: str, maker: str, words: tuple[str, ...]) -> None:
    for name, script in (("docker", docker), ("mmdebstrap", maker)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    told = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [PYTHON, "-c", MAKE],
        cwd=CHECKOUT,
        env=told,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    last = " ".join(done.stderr.partition("FarmError: ")[2].split())
    assert last.startswith("images: making framelend/debian:bookworm failed: ")
    assert [word for word in words if word not in last] == []
    assert "room on the disk" in last
