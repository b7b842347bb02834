"""Bare no-ops of peers, as information beside the farm's assignments: nothing is decided, and little of it is durable.

Each runs as a program of its own, for so many seconds, with a worker process per core, and prints how many tasks a second were
sent and run. Dramatiq and Dask live in an environment that only this benchmark makes.
"""

import asyncio
import os
import subprocess
import sys
import venv
from pathlib import Path

from tests.bench.report import Row, row
from tests.integration.world import World

HERE = Path(__file__).parent
ENVIRONMENT = Path("build/bench/peers")
LOCK = HERE / "peers.lock"
LOG = Path("build/test-logs")
WORKERS = str(os.cpu_count() or 1)
CELERY, DRAMATIQ, DASK = "celery_bare", "dramatiq_bare", "dask_bare"
NOTES = {
    CELERY: "persistent, acknowledged early, no results kept",
    DRAMATIQ: "persistent, no results kept",
    DASK: "nothing durable",
}


async def no_ops(world: World, seconds: float) -> list[Row]:
    """One stretch of each."""
    python = await asyncio.to_thread(_environment)
    rates = {
        CELERY: await _rate(world, sys.executable, CELERY, seconds),
        DRAMATIQ: await _rate(world, python, DRAMATIQ, seconds),
        DASK: await _rate(world, python, DASK, seconds),
    }
    names = {name: name.removesuffix("_bare").capitalize() for name in rates}
    return [row(f"{names[peer]} bare no-op", "1/s", [rate], better="higher", note=NOTES[peer]) for peer, rate in rates.items()]


def _environment() -> str:
    """The peers' Python, made once; as long as the lock is the same it stays."""
    python, stamp = ENVIRONMENT / "bin/python", ENVIRONMENT / "lock"
    if not stamp.exists() or stamp.read_bytes() != LOCK.read_bytes():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        pip = (str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK))
        subprocess.run(pip, check=True)
        stamp.write_bytes(LOCK.read_bytes())
    return str(python.absolute())


async def _rate(world: World, python: str, peer: str, seconds: float) -> float:
    broker = world.farm.amqp_url(*world.farm.rabbit_admin, world.vhost)
    place = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(HERE)}
    environment = {**place, "NOOP_BROKER": broker, "NOOP_WORKERS": WORKERS, "NOOP_SECONDS": str(seconds)}
    log = LOG / f"{world.token}-{peer}.log"
    return await asyncio.to_thread(_said, (python, str(HERE / f"{peer}.py")), environment, log)


def _said(words: tuple[str, str], environment: dict[str, str], log: Path) -> float:
    LOG.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=errors, timeout=600, check=False)
    assert done.returncode == 0, f"{words[1]} ended with {done.returncode}: see {log}"
    return float(done.stdout.split()[-1])
