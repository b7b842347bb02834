"""Attacks that use up what the machine has: processes, memory, disk, files, CPU, the attention of who listens."""

import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path
from typing import NoReturn

PAGE, BLOCK = 4_096, 1 << 20
LINE = b'{"event": "progress", "frame": 1, "text": "' + b"x" * 200 + b'"}\n'
OPENED = b'{"event": "opened"}\n'


def fork_bomb(most: int) -> tuple[bool, str]:
    children: list[int] = []
    try:
        while len(children) < most:
            children.append(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}))
    except OSError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
    return len(children) >= most, f"{len(children)} processes"


def memory_bomb(most: int) -> tuple[bool, str]:
    """The kernel kills who takes too much: then there is no answer but the signal."""
    taken = mmap.mmap(-1, most)
    for at in range(0, most, PAGE):
        taken[at] = 1
    return True, f"{most} bytes"


def fill_disk(most: int) -> tuple[bool, str]:
    """Into files that are deleted while they are open, which no listing shows."""
    written = 0
    held: list[FileIO] = []
    for folder in _writable():
        try:
            while written < most:
                file = open(f"{folder}/{len(held)}", "wb", buffering=0)  # noqa: SIM115 - held open on purpose
                held.append(file)
                os.unlink(file.name)
                for _ in range(64):
                    if file.write(bytes(BLOCK)) < BLOCK:
                        raise OSError
                    written += BLOCK
        except OSError:
            continue
    return written >= most, f"{written >> 20} MiB"


def fill_files(most: int) -> tuple[bool, str]:
    made = 0
    for folder in _writable():
        try:
            while made < most:
                os.close(os.open(f"{folder}/f{made}", os.O_CREAT | os.O_EXCL))
                made += 1
        except OSError:
            continue
    return made >= most, f"{made} files"


def _writable() -> list[str]:
    """Every folder we may write to, but for the kernel's own."""
    found = []
    for folder, below, _ in os.walk("/"):
        below[:] = [name for name in below if f"{folder}/{name}".lstrip("/") not in ("proc", "sys", "host", "opt", "usr")]
        if os.access(folder, os.W_OK):
            found.append(folder)
    return found


def descriptors(most: int) -> tuple[bool, str]:
    held: list[int] = []
    try:
        while len(held) < most:
            held.append(os.dup(0))
    except OSError:
        pass
    return len(held) >= most, f"{len(held)} descriptors"


def core_file() -> tuple[bool, str]:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (BLOCK, BLOCK))
    except ValueError:
        return False, "not raised"
    return True, "core files allowed"


def all_cores() -> tuple[bool, str]:
    """Twice as many busy processes as cores. Whether the kernel would hold them back does not hang on the load."""
    spin = "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"
    busy = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2 * (os.cpu_count() or 1))]
    for process in busy:
        process.wait()
    places = ("cpu/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_quota_us", "cpu.max")
    quota = next(path.read_text() for path in (Path("/sys/fs/cgroup", place) for place in places) if path.exists())
    return quota.split()[0] in ("-1", "max"), f"quota {quota.strip()}"


def talk(lines: int) -> tuple[bool, str]:
    """Each line is one of the protocol."""
    for _ in range(lines):
        os.write(1, LINE)
    return True, f"{lines} lines"


def shout(mebibytes: int) -> tuple[bool, str]:
    for _ in range(mebibytes):
        os.write(2, (b"x" * 1_023 + b"\n") * 1_024)
    return True, f"{mebibytes} MiB"


def endless_line(mebibytes: int) -> tuple[bool, str]:
    for _ in range(mebibytes):
        os.write(1, b"x" * BLOCK)
    return True, f"{mebibytes} MiB"


def never_end() -> tuple[bool, str]:
    """Busy and full of progress, for ever."""
    _busy(LINE)


def reopen() -> tuple[bool, str]:
    """As if the frame had only just begun, again and again."""
    _busy(OPENED)


def _busy(line: bytes) -> NoReturn:
    while True:
        os.write(1, line)
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass


def hang(seconds: float) -> tuple[bool, str]:
    time.sleep(seconds)
    return False, "waited"
