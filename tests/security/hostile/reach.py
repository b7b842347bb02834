"""Attacks that reach for what is not the container's: the network, files, processes, devices, the kernel."""

import ctypes
import os
import socket
import stat
import subprocess
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x0002_0000, 0x1000_0000
ADD_KEY, SESSION_KEYRING = 248, -3
OUTSIDE = ("", "/host")
"""Where a file of the machine might be found."""
USUAL_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "mqueue", "fd", "core"}
SECONDS = 5.0


def network(port: int) -> tuple[bool, str]:
    """A service of the machine itself."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as line:
        return line.recv(5) == b"hello", "the machine answered"


def interfaces() -> tuple[bool, str]:
    names = sorted(name for _, name in socket.if_nameindex() if name != "lo")
    return bool(names), " ".join(names) or "only lo"


def abstract_socket(name: str) -> tuple[bool, str]:
    """Unix sockets without a file belong to the network's namespace."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"\0{name}")
        return line.recv(5) == b"hello", "the machine answered"


def host_file(path: str, content: str) -> tuple[bool, str]:
    return _found(path, content)


def agent_credential(path: str, content: str) -> tuple[bool, str]:
    return _found(path, content)


def other_attempt(path: str, content: str) -> tuple[bool, str]:
    return _found(path, content)


def other_bundle(path: str, content: str) -> tuple[bool, str]:
    return _found(path, content)


def _found(path: str, content: str) -> tuple[bool, str]:
    why = "not there"
    for root in OUTSIDE:
        try:
            if content in Path(f"{root}{path}").read_text():
                return True, "read"
        except OSError as refused:
            why = refused.strerror or why
    return False, why


def docker_socket(path: str) -> tuple[bool, str]:
    why = "not there"
    for root in OUTSIDE:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(f"{root}{path}")
                line.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200" in line.recv(64), "the engine answered"
        except OSError as refused:
            why = refused.strerror or why
    return False, why


def poison_bundle() -> tuple[bool, str]:
    """Other jobs share the unpacked bundle."""
    with open("/in/bundle/scene.blend", "r+b") as file:
        file.write(b"poison")
    return True, "written"


def replace_bundle() -> tuple[bool, str]:
    Path("/in/bundle/new.blend").write_bytes(b"poison")
    os.replace("/in/bundle/new.blend", "/in/bundle/scene.blend")
    return True, "replaced"


def poison_task() -> tuple[bool, str]:
    with open("/in/task.json", "r+b") as file:
        file.write(b"{}")
    return True, "written"


def keep_on_root() -> tuple[bool, str]:
    """A folder of the image that everybody may write to."""
    Path("/var/tmp/kept").write_bytes(b"kept")
    return True, "written"


def read_as_root() -> tuple[bool, str]:
    return bool(Path("/etc/shadow").read_text()), f"as uid {os.getuid()}"


def become_root_by_setuid() -> tuple[bool, str]:
    """su waits for a password: its effective user can be looked at meanwhile."""
    with subprocess.Popen(["su"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while b"su" not in (comm := Path(f"/proc/{process.pid}/comm").read_bytes()) and comm:
            pass
        user = os.stat(f"/proc/{process.pid}").st_uid
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.kill()
    effective = next(line.split()[2] for line in status.splitlines() if line.startswith("Uid:"))
    return effective == "0", f"effective uid {effective}, owner {user}"


def make_device() -> tuple[bool, str]:
    os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0))
    return True, "made a node"


def raw_socket() -> tuple[bool, str]:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return True, "opened"


def take_file_over() -> tuple[bool, str]:
    Path("/tmp/own").touch()
    os.chown("/tmp/own", 12_345, 12_345)
    return True, "chown"


def user_namespace() -> tuple[bool, str]:
    _called(LIBC.unshare(CLONE_NEWUSER))
    return True, "root of an own namespace"


def mount() -> tuple[bool, str]:
    _called(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    _called(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None))
    return True, "mounted"


def keyring() -> tuple[bool, str]:
    _called(LIBC.syscall(ADD_KEY, b"user", b"framelend", b"x", 1, SESSION_KEYRING))
    return True, "a key of the kernel"


def other_processes(mark: str) -> tuple[bool, str]:
    seen = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return any(mark.encode() in _words(entry) for entry in seen), f"{len(seen)} processes"


def _words(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it has ended meanwhile


def devices() -> tuple[bool, str]:
    entries = [entry for entry in Path("/dev").iterdir() if not entry.is_symlink()]
    nodes = [entry.name for entry in entries if entry.is_block_device() or entry.is_char_device()]
    unusual = sorted(set(nodes) - USUAL_DEVICES)
    return bool(unusual), " ".join(unusual) or "the usual ones"


def kernel_settings() -> tuple[bool, str]:
    with open("/proc/sys/kernel/core_pattern", "r+b"):
        return True, "could be written"


def shared_memory(key: int) -> tuple[bool, str]:
    """A segment that a process of the machine made for everybody."""
    _called(LIBC.shmget(key, 0, 0))
    return True, "found"


def _called(answer: int) -> None:
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
