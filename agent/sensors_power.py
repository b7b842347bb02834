"""Where this machine's power comes from and how hot it is, from /sys."""

from collections.abc import Iterator
from pathlib import Path

_PROCESSORS = ("coretemp", "k10temp", "zenpower", "cpu", "soc", "amdgpu", "nouveau", "radeon", "x86_pkg_temp", "acpitz")
"""Chips whose heat comes from work, by the beginning of their names. A disk's or a network card's does not."""
HOTTEST_CELSIUS = 150.0
"""Above it is a broken sensor."""


def on_battery(sys: Path) -> bool | None:
    """None on a machine that tells of no power supply: most desktops. One without a battery in it is on its line, whatever its
    other supplies say: an empty USB-C port of a desktop is one that is not online."""
    supplies = [_Supply(path) for path in _entries(sys / "class/power_supply")]
    own = [supply for supply in supplies if supply("scope") != "Device"]
    if any(supply("type") in ("Mains", "USB") and supply("online") not in ("", "0") for supply in own):
        return False
    batteries = [supply("status") for supply in own if supply("type") == "Battery" and supply("present") != "0"]
    return "Discharging" in batteries if own else None


def celsius(sys: Path) -> float | None:
    """Of the hottest processor."""
    found = [degrees for degrees in _degrees(sys) if -50.0 < degrees < HOTTEST_CELSIUS]
    return max(found, default=None)


def _degrees(sys: Path) -> Iterator[float]:
    for chip in _entries(sys / "class/hwmon"):
        if _text(chip / "name").lower().startswith(_PROCESSORS):
            yield from _read(chip.glob("temp*_input"))
    for zone in _entries(sys / "class/thermal"):
        if _text(zone / "type").lower().startswith(_PROCESSORS):
            yield from _read([zone / "temp"])


def _read(paths: Iterator[Path] | list[Path]) -> Iterator[float]:
    """Thousandths of a degree."""
    for path in paths:
        text = _text(path)
        if text.lstrip("-").isdigit():
            yield int(text) / 1000


class _Supply:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, name: str) -> str:
        return _text(self._path / name)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
