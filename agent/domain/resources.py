"""What an attempt takes of the machine, folded look by look: how much now, how much at the most, and when to tell.

A look is what Docker says of the container's cgroup (both versions), plus what the driver claims of its own peak: looks are
seconds apart, and a peak between two of them would be missed. The kernel's own peak counts its file cache and is of no use here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.events import GpuUse, Resources
from contracts.values import MICRO

TELL_SECONDS = 10.0
MOST_BYTES = 1 << 44
MOST_CORES = 4_096.0


@dataclass(frozen=True)
class Look:
    """`memory_bytes` without the file cache that the kernel would take back at once."""

    cpu_micros: int = 0
    memory_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True)
class Taken:
    """`limit_bytes`: what the container may have; no claim about its peak goes beyond it."""

    limit_bytes: int
    seen_at: float | None = None
    told_at: float = float("-inf")
    look: Look = field(default_factory=Look)
    cores: float = 0.0
    peak_bytes: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    gpu: GpuUse | None = None


def read(stats: Mapping[str, Any]) -> Look:
    """From one answer of Docker's `stats`; what is not in it (the container has just ended) is 0."""
    memory = stats.get("memory_stats") or {}
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    moved = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return Look(
        cpu_micros=int(((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage") or 0) // 1000,
        memory_bytes=max(0, int(memory.get("usage") or 0) - int(cache or 0)),
        read_bytes=_moved(moved, "read"),
        written_bytes=_moved(moved, "write"),
    )


def _moved(entries: Iterable[Mapping[str, Any]], way: str) -> int:
    return sum(int(one.get("value") or 0) for one in entries if str(one.get("op", "")).lower() == way)


def looked(taken: Taken, look: Look, now: float, gpu: GpuUse | None = None) -> Taken:
    """After a look; counters never go back, so an answer of a container that has ended changes little."""
    look = replace(
        look,
        cpu_micros=max(look.cpu_micros, taken.look.cpu_micros),
        read_bytes=max(look.read_bytes, taken.look.read_bytes),
        written_bytes=max(look.written_bytes, taken.look.written_bytes),
    )
    cores = taken.cores
    if taken.seen_at is not None and now > taken.seen_at:
        cores = min(MOST_CORES, (look.cpu_micros - taken.look.cpu_micros) / MICRO / (now - taken.seen_at))
    peak = max(taken.peak_bytes, look.memory_bytes)
    return replace(taken, look=look, cores=cores, seen_at=now, peak_bytes=peak, gpu=gpu)


def claimed(taken: Taken, peak_bytes: int) -> Taken:
    """The driver's own word about its peak."""
    return replace(taken, peak_bytes=max(taken.peak_bytes, min(peak_bytes, taken.limit_bytes)))


def moved(taken: Taken, received: int = 0, sent: int = 0) -> Taken:
    """What the agent itself moved for it over the network."""
    return replace(taken, received_bytes=taken.received_bytes + received, sent_bytes=taken.sent_bytes + sent)


def said(taken: Taken, now: float) -> Taken:
    return replace(taken, told_at=now)


def is_due(taken: Taken, now: float) -> bool:
    return now - taken.told_at >= TELL_SECONDS


def told(taken: Taken) -> Resources:
    return Resources(
        cpu_seconds=taken.look.cpu_micros / MICRO,
        cores=taken.cores,
        memory_bytes=_bytes(taken.look.memory_bytes),
        memory_peak_bytes=_bytes(taken.peak_bytes),
        disk_read_bytes=_bytes(taken.look.read_bytes),
        disk_written_bytes=_bytes(taken.look.written_bytes),
        network_received_bytes=_bytes(taken.received_bytes),
        network_sent_bytes=_bytes(taken.sent_bytes),
        gpu=taken.gpu,
    )


def _bytes(count: int) -> int:
    return min(max(0, count), MOST_BYTES)
