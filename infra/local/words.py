"""The operator's words to a service: its own commands, run in its own environment."""

from __future__ import annotations

import subprocess

from infra.local.failure import FarmError
from infra.local.farmfile import FarmFile
from infra.local.layout import CHECKOUT, PYTHON
from infra.local.programs import kept_environment
from infra.local.services import environment

ENROL, OUTCOMES = "services.scheduler.enrol", "services.scheduler.outcomes"
AGAIN = "services.notifier.again"


def say(farm: FarmFile, what: str, module: str, *words: str) -> str:
    """What the command prints. Raises FarmError, with `what` was to be done and why it was not."""
    told = {**kept_environment(), **environment(module.split(".")[1], farm)}
    command = [str(PYTHON), "-m", module, *words]
    done = subprocess.run(command, env=told, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FarmError(what, (done.stderr or done.stdout).strip()[-1500:])
    return done.stdout
