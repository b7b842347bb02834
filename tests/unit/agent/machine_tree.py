"""A machine as /proc, /sys and /dev would show it, in a folder."""

import os
from pathlib import Path

BOX = "b" * 64
HZ = os.sysconf("SC_CLK_TCK")


class Tree:
    def __init__(self, root: Path) -> None:
        self.proc, self.sys, self.dev = root / "proc", root / "sys", root / "dev"
        for folder in (self.proc, self.sys, self.dev):
            folder.mkdir(parents=True)

    def put(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")

    def interrupts(self, i8042: int, disk: int = 0, touchpad: int = 0) -> None:
        lines = [
            "            CPU0       CPU1",
            f"  1:      {i8042}          0  IO-APIC    1-edge      i8042",
            f" 24:      {disk}          7  PCI-MSI     5-edge      nvme0q1",
            f" 51:      {touchpad}      0  IO-APIC   51-fasteoi   ELAN1200:00",
        ]
        self.put(self.proc / "interrupts", "\n".join(lines))

    def usb(self, name: str, urbs: int, kind: str = "03", protocol: str = "01") -> None:
        devices = self.sys / "bus/usb/devices"
        self.put(devices / f"{name}:1.0/bInterfaceClass", f"{kind}\n")
        self.put(devices / f"{name}:1.0/bInterfaceProtocol", f"{protocol}\n")
        self.put(devices / f"{name}/urbnum", f"{urbs}\n")

    def terminal(self, name: str, at: float) -> None:
        self.put(self.dev / name, "")
        os.utime(self.dev / name, (at, at))

    def cpu(self, user: float, nice: float = 0.0, system: float = 0.0, own: float = 0.0) -> None:
        """Seconds since boot."""
        ticks = [int(seconds * HZ) for seconds in (user, nice, system)]
        self.put(self.proc / "stat", f"cpu  {ticks[0]} {ticks[1]} {ticks[2]} 999999 5 0 0 0 0 0\ncpu0 1 2 3\n")
        self.put(self.proc / "self/stat", f"1 (a (b) c) S {' '.join(['0'] * 10)} {int(own * HZ)} 0 0 0 20 0 1 0 0\n")

    def box(self, seconds: float, version: int = 1, box: str = BOX) -> None:
        if version == 1:
            self.put(self.sys / f"fs/cgroup/cpuacct/docker/{box}/cpuacct.usage", f"{int(seconds * 1e9)}\n")
        else:
            name = f"fs/cgroup/system.slice/docker-{box}.scope/cpu.stat"
            self.put(self.sys / name, f"usage_usec {int(seconds * 1e6)}\nuser_usec 1\n")

    def process(self, number: int, name: str, cgroup: str = "/user.slice") -> None:
        self.put(self.proc / f"{number}/comm", f"{name}\n")
        self.put(self.proc / f"{number}/cgroup", f"0::{cgroup}\n")

    def namespace(self, number: int) -> None:
        """Of the agent's own processes."""
        link = self.proc / "self/ns/pid"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"pid:[{number}]")

    def supply(self, name: str, **files: str) -> None:
        for file, text in files.items():
            self.put(self.sys / f"class/power_supply/{name}/{file}", f"{text}\n")

    def chip(self, number: int, name: str, *thousandths: int) -> None:
        self.put(self.sys / f"class/hwmon/hwmon{number}/name", f"{name}\n")
        for place, heat in enumerate(thousandths):
            self.put(self.sys / f"class/hwmon/hwmon{number}/temp{place + 1}_input", f"{heat}\n")
