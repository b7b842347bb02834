"""`make demo` that does not come to its end: nothing is left, its exit code tells, and a failure says what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local import farm as whole
from infra.local import farmfile, leftovers, supervision
from infra.local.layout import CHECKOUT, Layout
from tests.waiting import until

WITHIN = 90


@contextmanager
def heard(number: signal.Signals) -> Iterator[None]:
    """Who starts tests in the background has this signal ignored, and whatever is started by who ignores it does so, too."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def demo(layout: Layout, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """In a process group of its own, as a terminal would start it; ended with its farm, whatever happens."""
    with said.open("wb") as output:
        command, environment = [sys.executable, "-m", "infra.demo"], {**os.environ, "FARM_DIR": str(layout.root)}
        with heard(signal.SIGINT):
            process = subprocess.Popen(
                command, cwd=CHECKOUT, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            whole.down(layout, lambda _: None)


async def ends(process: subprocess.Popen[bytes]) -> int:
    await until(lambda: process.poll() is not None, "the demo has ended", WITHIN)
    return int(process.returncode)


async def test_ctrl_c_while_the_farm_starts_leaves_nothing(tmp_path: Path) -> None:
    layout, said = Layout(tmp_path / "farm"), tmp_path / "said"
    with demo(layout, said) as process:
        await until(lambda: process.poll() is not None or bool(supervision.states(layout)), "programs start", WITHIN)
        farm_id = farmfile.read(layout)["FARM_ID"]
        assert leftovers.processes_of(farm_id)
        os.killpg(process.pid, signal.SIGINT)
        assert await ends(process) == 130, said.read_text()
        assert leftovers.processes_of(farm_id) == []
        assert supervision.pid(layout) is None
    assert "Stopped by hand." in said.read_text()


async def test_a_demo_that_fails_says_where_and_what_to_do_and_leaves_nothing(tmp_path: Path) -> None:
    layout, said = Layout(tmp_path / "farm"), tmp_path / "said"
    layout.make()
    layout.supervisor_config.mkdir()  # where a file must be written
    with demo(layout, said) as process:
        assert await ends(process) == 1, said.read_text()
        assert supervision.pid(layout) is None
    told = said.read_text()
    assert "The demo failed at step 2  the farm" in told
    assert "IsADirectoryError" in told
    assert "do:     `make demo` again" in told
    assert "Traceback" in (layout.logs / "demo.log").read_text()
