"""What other programs use of this machine, and whether one of the owner's own is running. Our containers do not count.

What a container uses its cgroup tells. Where that cannot be read (an agent in a container of its own, a Docker elsewhere) the
kernel's count of niced time does, for containers that run at the lowest priority; at the normal one nothing tells them from the
owner's programs, and what these use is unknown.
"""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WINDOW_SECONDS = 1.5
LEAST_SECONDS = 0.4
YOUNG_LOOKS, AGAIN_LOOKS = 4, 60
"""A process is looked at so often before its name is believed, for between fork and exec it still has its parent's; later only
every so often."""
_EVERYBODYS = "pid:[4026531836]"
"""The namespace of processes that the kernel starts with (PROC_PID_INIT_INO in its proc_ns.h)."""
_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ = 0, 1, 2, 5, 6
_USED, _NICENESS = slice(11, 15), 16
"""In /proc/PID/stat, counted from behind the name: its own time and that of children it has waited for."""
_MOST, _LEAST_NICED_CORES = 0.5, 0.1


@dataclass(frozen=True)
class _Look:
    """CPU seconds since boot. `own` is not niced, `own_niced` is; a box of which nothing can be read has None."""

    at: float
    busy: float
    nice: float
    own: float
    own_niced: float
    boxes: dict[str, float | None]


class Load:
    def __init__(self, proc: Path, sys: Path) -> None:
        self._proc, self._cgroup = proc, sys / "fs/cgroup"
        self._looks: deque[_Look] = deque()
        self._niced: frozenset[str] = frozenset()
        self._hz = float(os.sysconf("SC_CLK_TCK"))

    def other_cores(self, now: float, boxes: frozenset[str]) -> float | None:
        """Of the last second and a half. None until there are two looks, and where the kernel does not tell: of a container whose
        cgroup cannot be read, or that has gone and took its count with it, nor from its being niced."""
        look = self._look(now, boxes)
        if look is None:
            return None
        while self._looks and now - self._looks[0].at > WINDOW_SECONDS:
            self._looks.popleft()
        self._looks.append(look)
        first = self._looks[0]
        if now - first.at < LEAST_SECONDS:
            return None
        there = frozenset(first.boxes) | frozenset(look.boxes)
        self._niced = there if _mostly_niced(first, look) else self._niced & there
        untold = {box for box in there if look.boxes.get(box) is None}
        return _others(first, look) if untold <= self._niced else None

    def _look(self, now: float, boxes: frozenset[str]) -> _Look | None:
        ticks = _text(self._proc / "stat").partition("\n")[0].split()[1:]
        if len(ticks) <= _SOFTIRQ:
            return None
        seconds = [int(tick) / self._hz for tick in ticks]
        busy = sum(seconds[place] for place in (_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ))
        own, own_niced = self._own()
        return _Look(now, busy, seconds[_NICE], own, own_niced, {box: self._used(box) for box in boxes})

    def _own(self) -> tuple[float, float]:
        """This process, and its children: the decoder, and renders without a container."""
        used, left = [0.0, 0.0], ["self"]
        while left:
            process = self._proc / left.pop()
            words = _text(process / "stat").rpartition(")")[2].split()
            if len(words) > _NICENESS:
                used[int(words[_NICENESS]) > 0] += sum(int(word) for word in words[_USED]) / self._hz
            for children in process.glob("task/*/children"):
                left += _text(children).split()
        return used[0], used[1]

    def _used(self, box: str) -> float | None:
        """CPU seconds of one container, from its cgroup (of version 1 or 2, made by Docker itself, by systemd, or by this user's
        own systemd for a Docker without root)."""
        own = f"user.slice/user-{os.getuid()}.slice/user@{os.getuid()}.service/user.slice"
        for name in (f"docker/{box}", f"system.slice/docker-{box}.scope", f"{own}/docker-{box}.scope"):
            if (nanos := _text(self._cgroup / "cpuacct" / name / "cpuacct.usage").strip()).isdigit():
                return int(nanos) / 1e9
            for line in _text(self._cgroup / name / "cpu.stat").splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
        return None


def _mostly_niced(first: _Look, last: _Look) -> bool:
    """Whether containers seem to run at the lowest priority. Of what a render at the normal one makes a machine use, somebody's
    niced program beside it is seldom most. What was learnt of a container holds while it stands still."""
    niced = last.nice - first.nice - max(0.0, last.own_niced - first.own_niced)
    return niced > max(_MOST * (last.busy - first.busy), _LEAST_NICED_CORES * (last.at - first.at))


def _others(first: _Look, last: _Look) -> float:
    """What the kernel counts as niced is our containers' where their cgroups do not tell."""
    own, own_niced = max(0.0, last.own - first.own), max(0.0, last.own_niced - first.own_niced)
    boxes = sum(used - (first.boxes.get(box) or 0.0) for box, used in last.boxes.items() if used is not None)
    others = last.busy - first.busy - max(last.nice - first.nice, boxes + own_niced) - own
    return max(0.0, others / (last.at - first.at))


class Programs:
    """Looks for programs by name, as `ps -e` shows them (15 characters)."""

    def __init__(self, proc: Path, names: tuple[str, ...]) -> None:
        self._proc, self._names = proc, {name.lower()[:15] for name in names}
        self._looks: dict[str, int] = {}
        self._found: dict[str, str] = {}

    def running(self, boxes: frozenset[str]) -> str | None:
        """The name of one that runs outside our containers. Looking at every process every time would alone cost as much as
        everything else the agent does."""
        there = set(self._processes())
        self._looks = {process: looks for process, looks in self._looks.items() if process in there}
        self._found = {process: name for process, name in self._found.items() if process in there}
        for process in there:
            looks = self._looks[process] = self._looks.get(process, 0) + 1
            if looks <= YOUNG_LOOKS or looks % AGAIN_LOOKS == 0:
                self._see(process, boxes)
        return next(iter(self._found.values()), None)

    def sees_all(self) -> bool:
        """False in a namespace of processes of its own, as containers have: there the machine's programs do not show."""
        try:
            return os.readlink(self._proc / "self/ns/pid") == _EVERYBODYS
        except OSError:
            return True

    def _see(self, process: str, boxes: frozenset[str]) -> None:
        name = _text(self._proc / process / "comm").strip()
        if name.lower() not in self._names:
            self._found.pop(process, None)
            return
        where = _text(self._proc / process / "cgroup")
        if not any(box in where for box in boxes):
            self._found[process] = name

    def _processes(self) -> Iterator[str]:
        try:
            yield from (name for name in os.listdir(self._proc) if name.isdigit())
        except OSError:
            return


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
