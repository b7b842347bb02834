"""The walls around a process that reads strangers' files. Raised by the process itself, before it reads the first byte.

Root drops to nobody; a network namespace of its own has no way out; limits bound memory, CPU, files and children. Where the
kernel forbids the namespace (an unprivileged container) the filter of system calls refuses sockets all the same.
"""

import ctypes
import os
import resource
import sys
from contextlib import suppress

from services.storage.confined import calls

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
NOBODY = 65_534
GIB = 1 << 30


def confine(*, memory_bytes: int, file_bytes: int = 0, children: bool = False) -> None:
    """`file_bytes` is the largest file it may write. Raises what the kernel says when not even a limit can be set."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0 and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        sys.stderr.write("no network namespace here; limits only\n")
    for which, bound in _limits(memory_bytes, file_bytes, children).items():
        resource.setrlimit(which, (bound, bound))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if not calls.refuse(programs=children):
        sys.stderr.write("no filter of system calls here\n")


def _limits(memory_bytes: int, file_bytes: int, children: bool) -> dict[int, int]:
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    return limits if children else {**limits, resource.RLIMIT_NPROC: 0}


def allow_seconds(more: int) -> None:
    """CPU seconds from now; the kernel ends the process after them."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(spent.ru_utime + spent.ru_stime) + more + 1
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def hide_environment() -> None:
    """Called by the service itself: no other process of the same user can read its memory or environment."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
