"""infra/setup.sh forbids services to start while it installs packages; the machine is as free as before, however that ends."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT
from tests.waiting import until

SETUP = (CHECKOUT / "infra/setup.sh").read_text()
FORBIDS = "exit 101\n"
APT_GET = """#!/bin/sh
cat "$POLICY" >"$SEEN.part" && mv "$SEEN.part" "$SEEN"
while [ ! -e "$GO" ]; do sleep 0.05; done
"""


def found(pattern: str) -> str:
    match = re.search(pattern, SETUP, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match.group(0)


MARK, INSTALL = found(r"^MARK=[^\n]*"), found(r"^install_as_root\(\) \{.*?^\}")


class Machine:
    """A scratch folder with the policy's place in it, and an apt-get that waits until it is told to go on."""

    def __init__(self, home: Path) -> None:
        self.policy, self.seen, self.go = home / "policy-rc.d", home / "seen", home / "go"
        (home / "bin").mkdir()
        (home / "bin/apt-get").write_text(APT_GET)
        (home / "bin/apt-get").chmod(0o755)
        places = {"POLICY": str(self.policy), "SEEN": str(self.seen), "GO": str(self.go)}
        self._environment = {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", **places}

    def installing(self, *packages: str) -> "subprocess.Popen[bytes]":
        """As setup.sh does it, in a process group like that of a terminal."""
        script = "\n".join((MARK, INSTALL, 'install_as_root "$POLICY" "$MARK" "$@"'))
        return subprocess.Popen(
            ["bash", "-c", script, "install", *packages],
            env=self._environment,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    async def stopped_by(self, number: int) -> int:
        with self.installing("a-package") as process:
            await until(self.seen.exists, "apt-get runs", 30)
            assert FORBIDS in self.seen.read_text()
            os.killpg(process.pid, number)
            return process.wait(30)


@pytest.fixture(name="machine")
def a_machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_services_may_not_start_while_packages_are_installed_and_may_afterwards(machine: Machine) -> None:
    machine.go.touch()
    with machine.installing("a-package") as process:
        assert process.wait(30) == 0
    assert FORBIDS in machine.seen.read_text()
    assert not machine.policy.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_who_interrupts_it_finds_the_machine_as_it_was(machine: Machine, number: signal.Signals) -> None:
    assert await machine.stopped_by(number) == 128 + number
    assert not machine.policy.exists()


@pytest.mark.parametrize("packages", [(), ("a-package",)])
async def test_what_a_killed_one_left_the_next_one_removes(machine: Machine, packages: tuple[str, ...]) -> None:
    await machine.stopped_by(signal.SIGKILL)
    assert machine.policy.exists()
    machine.go.touch()
    with machine.installing(*packages) as process:
        assert process.wait(30) == 0
    assert not machine.policy.exists()


@pytest.mark.parametrize("ends", [True, False])
async def test_a_policy_of_the_owner_stays(machine: Machine, ends: bool) -> None:
    own = "#!/bin/sh\n\nexit 101\n"
    machine.policy.write_text(own)
    if ends:
        machine.go.touch()
        with machine.installing("a-package") as process:
            assert process.wait(30) == 0
    else:
        await machine.stopped_by(signal.SIGINT)
    assert machine.policy.read_text() == own
