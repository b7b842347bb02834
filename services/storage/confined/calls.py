"""System calls that no reader of pictures needs: refused by the kernel, also where a network namespace is not to be had.

A classic BPF program over (architecture, call number), as seccomp(2) describes it. Calls not named here stay allowed; what an
architecture not named here does is left to the other walls.
"""

import ctypes
import platform
import struct

PR_SET_SECCOMP, MODE_FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT = 0, 4
"""Offsets in struct seccomp_data."""
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""REFUSE is EPERM."""
X32 = 0x40000000

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
REFUSED = {
    "x86_64": {"socket": 41, "socketpair": 53, "ptrace": 101, "readv": 310, "writev": 311, "io_uring": 425, "bpf": 321},
    "aarch64": {"socket": 198, "socketpair": 199, "ptrace": 117, "readv": 270, "writev": 271, "io_uring": 425, "bpf": 280},
}
"""readv and writev are process_vm_readv and process_vm_writev: into the memory of others."""
EXEC = {"x86_64": {"execve": 59, "execveat": 322}, "aarch64": {"execve": 221, "execveat": 281}}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse(programs: bool) -> bool:
    """From now on, for good, for this process and its children; `programs`: it may become another program. False where this
    machine's architecture is not known here or the kernel has no filters."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    numbers = [*REFUSED[machine].values(), *(() if programs else EXEC[machine].values())]
    code = _filter(ARCHITECTURES[machine], numbers)
    program = _Program(len(code) // 8, code)
    return bool(ctypes.CDLL(None).prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(architecture: int, numbers: list[int]) -> bytes:
    """Jumps count the instructions to leap over."""
    lines = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, len(numbers) + 1, 0, X32),
        *((EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
