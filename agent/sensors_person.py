"""Whether somebody is at this machine, from what any user may read: no key is ever seen, only that there was one.

Sources: interrupts of PS/2 (i8042) and I2C keyboards, touchpads and touch screens in /proc/interrupts; the number of transfers of
USB keyboards and mice (`urbnum`, which grows only when they have something to say); the time of the last input of each terminal,
local or through ssh (kept by the kernel to 8 s, the first input after a rest at once). Of each only that it changed counts: what
the wall clock stamped may be hours off, where it was set since. Not known: Bluetooth keyboards and mice, and what a desktop
thinks of idleness.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

LIST_SECONDS = 10.0
"""How often new devices are looked for."""
_INPUT = re.compile(r"i8042|keyboard|touch|\b(ELAN|SYNA|WCOM|ATML|GXTP|DLL|MSFT0)", re.IGNORECASE)
_HID, _KEYBOARD_OR_MOUSE = "03", ("01", "02")


class Person:
    def __init__(self, proc: Path, sys: Path, dev: Path) -> None:
        self._interrupts, self._usb, self._dev = proc / "interrupts", sys / "bus/usb/devices", dev
        self._seen: dict[str, int] = {}
        self._last: float | None = None
        self._listed = -LIST_SECONDS
        self._devices: tuple[Path, ...] = ()
        self._terminals: tuple[Path, ...] = ()

    def idle_seconds(self, now: float) -> float | None:
        """Since the last sign of somebody; from the first look on, before which nothing is known. None without any source."""
        if now - self._listed >= LIST_SECONDS:
            self._listed, self._devices, self._terminals = now, tuple(self._find_usb()), tuple(self._find_terminals())
        counts = dict(self._counts())
        if not counts:
            return None
        if self._last is None or any(self._seen.get(name) != count for name, count in counts.items()):
            self._last = now
        self._seen = counts
        return max(0.0, now - self._last)

    def _counts(self) -> Iterator[tuple[str, int]]:
        yield from _interrupts(_text(self._interrupts))
        for device in self._devices:
            if (count := _text(device / "urbnum").strip()).isdigit():
                yield device.name, int(count)
        for terminal in self._terminals:
            with contextlib.suppress(OSError):
                yield str(terminal), terminal.stat().st_atime_ns

    def _find_usb(self) -> Iterator[Path]:
        """Devices with an interface that the USB standard calls a boot keyboard or mouse: a UPS is HID too, and talks always."""
        for kind in _glob(self._usb, "*/bInterfaceClass"):
            protocol = _text(kind.with_name("bInterfaceProtocol")).strip()
            if _text(kind).strip() == _HID and protocol in _KEYBOARD_OR_MOUSE:
                yield self._usb / kind.parent.name.partition(":")[0]

    def _find_terminals(self) -> Iterator[Path]:
        yield from _glob(self._dev, "pts/[0-9]*")
        yield from _glob(self._dev, "tty[1-9]*")


def _interrupts(text: str) -> Iterator[tuple[str, int]]:
    """Lines like ` 12:   0   15  IO-APIC   12-edge   i8042`: one number for each CPU, then words."""
    for line in text.splitlines():
        if _INPUT.search(line):
            number, _, rest = line.partition(":")
            yield number.strip(), sum(int(word) for word in rest.split() if word.isdigit())


def _glob(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
