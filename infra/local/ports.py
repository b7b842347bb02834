"""Which TCP ports a farm uses: the usual ones, else the next that is free."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.local.failure import FarmError

USUAL: Mapping[str, int] = {
    "FARM_EPMD_PORT": 4370,
    "FARM_AMQP_PORT": 5672,
    "FARM_AMQPS_PORT": 5671,
    "FARM_RABBIT_MANAGEMENT_PORT": 15672,
    "FARM_RABBIT_PROMETHEUS_PORT": 15692,
    "FARM_RABBIT_DIST_PORT": 25672,
    "FARM_MONGO_PORT": 27017,
    "FARM_S3_PORT": 9000,
    "FARM_SMTP_PORT": 2525,
    "FARM_PROMETHEUS_PORT": 9090,
    "FARM_TRACEBOX_PORT": 4318,
    "FARM_INTAKE_PORT": 8080,
    "FARM_SCHEDULER_PORT": 8081,
    "FARM_STORAGE_PORT": 8082,
    "FARM_BILLING_PORT": 8083,
    "FARM_NOTIFIER_PORT": 8084,
}
TRIES = 200


def is_free(port: int) -> bool:
    """True when a server could listen on the port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def next_free(wanted: int, taken: set[int]) -> int:
    """The first port from ``wanted`` on that is free and not in ``taken``."""
    for port in range(wanted, min(wanted + TRIES, 65536)):
        if port not in taken and is_free(port):
            return port
    raise FarmError("ports", f"no free port between {wanted} and {wanted + TRIES}", advice="stop what listens there")


def choose(wanted: Mapping[str, int]) -> dict[str, int]:
    """A free port for every name, the wanted one where possible, no port twice."""
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        chosen[name] = next_free(port, set(chosen.values()))
    return chosen


@contextmanager
def one_farm_starts_at_a_time() -> Iterator[None]:
    """Hold off other farms of this machine between choosing ports and listening on them."""
    path = Path(tempfile.gettempdir()) / f"framelend-start-{os.getuid()}.lock"
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
