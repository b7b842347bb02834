"""CPU time and memory of the processes that share the work, by name."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from infra.local import supervision
from infra.local.layout import Layout
from tests.integration.world import Process

INFRASTRUCTURE = {"broker": "rabbitmq", "database": "mongod"}
STORE = {"store": "s3"}
MIB = 1 << 20


@dataclass(frozen=True)
class Usage:
    """Name → process id; children count with their parents. `measuring` is the benchmark's own process, alone."""

    pids: Mapping[str, int]
    measuring: str = "simulator"

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far."""
        found = {name: sum(map(_cpu, _family(pid))) for name, pid in self.pids.items()}
        return {**found, self.measuring: _own(psutil.Process())} if self.measuring else found

    def memory(self) -> dict[str, float]:
        """Resident memory in MiB: all of the parent's, and what its children do not share with it or each other."""
        return {name: _memory(pid) / MIB for name, pid in self.pids.items()}


def since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    return {name: now[name] - before[name] for name in now}


def usage(processes: Mapping[str, Process], programs: Mapping[str, str] = INFRASTRUCTURE, measuring: str = "simulator") -> Usage:
    """Of these services' processes and of these programs of the farm's supervisor."""
    layout = Layout.of()
    pids = {name: process.pid for name, process in processes.items()}
    for name, program in programs.items():
        pid = supervision.process_id(layout, program)
        assert pid is not None, f"{program} does not run"
        pids[name] = pid
    return Usage(pids, measuring)


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _cpu(process: psutil.Process) -> float:
    """Its own and that of children that have ended and were waited for."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _memory(pid: int) -> int:
    parent, *children = _family(pid)
    return _rss(parent) + sum(map(_unshared, children))


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _unshared(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.NoSuchProcess:
        return 0
