"""What this machine shows of its owner's life: a thin reader of /proc, /sys, /dev and its zone, whose places a test may choose.

Only what a rule asks for is read, and nothing here decides. What cannot be read is unknown.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.domain.comfort import Facts, Rules
from agent.sensors_load import Load, Programs
from agent.sensors_person import Person
from agent.sensors_power import celsius, on_battery

HEAT_SECONDS = 2.0


@dataclass(frozen=True)
class Roots:
    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    zone: Path = Path("/etc/localtime")


class LocalTime:
    """The owner's own, also after he has travelled: the C library reads the zone once, and again only when it is told to."""

    def __init__(self, zone: Path) -> None:
        self._zone, self._seen = zone, _version(zone)

    def now(self) -> datetime:
        version = _version(self._zone)
        if version != self._seen:
            self._seen = version
            time.tzset()
        return datetime.now(UTC).astimezone()


class Sensors:
    """`boxes` names our own containers: what they use is not somebody else's."""

    def __init__(self, rules: Rules, roots: Roots, boxes: Callable[[], frozenset[str]]) -> None:
        self._rules, self._roots, self._boxes = rules, roots, boxes
        self._time = LocalTime(roots.zone)
        self._person = Person(roots.proc, roots.sys, roots.dev)
        self._load = Load(roots.proc, roots.sys)
        self._programs = Programs(roots.proc, rules.programs)
        self._celsius: tuple[float, float | None] = (-HEAT_SECONDS, None)

    def read(self, now: float, paused: str | None, cards_celsius: float | None = None) -> Facts:
        """`now` is monotonic. `cards_celsius`: how hot the lent GPUs are, which /sys does not tell of NVIDIA's."""
        rules, boxes = self._rules, self._boxes()
        return Facts(
            local=self._time.now(),
            paused=paused,
            idle_seconds=self._person.idle_seconds(now) if rules.idle_seconds is not None else None,
            other_cores=self._load.other_cores(now, boxes) if rules.load_cores is not None else None,
            program=self._programs.running(boxes) if rules.programs else None,
            sees_all=self._programs.sees_all(),
            on_battery=None if rules.on_battery else on_battery(self._roots.sys),
            celsius=_hotter(self._heat(now), cards_celsius) if rules.hot_celsius is not None else None,
        )

    def _heat(self, now: float) -> float | None:
        """Asked for seldom: some sensors take milliseconds to answer."""
        if now - self._celsius[0] >= HEAT_SECONDS:
            self._celsius = (now, celsius(self._roots.sys))
        return self._celsius[1]


def _hotter(one: float | None, other: float | None) -> float | None:
    return max((degrees for degrees in (one, other) if degrees is not None), default=None)


def _version(file: Path) -> tuple[int, int, int] | None:
    """Another file in its place, or the same one written anew, has another."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
