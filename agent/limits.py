"""Puts limits on itself, then becomes the command it was given: `python -IS limits.py MEMORY FILE CORES COMMAND…`.

A process has these limits where a container would have a group of its own: they hold for each process by itself, not for all
together. Dies with whoever started it.
"""

import ctypes
import os
import resource
import signal
import sys

OPEN_FILES = 1_024
_DIE_WITH_PARENT = 1


def main(memory_bytes: int, file_bytes: int, cores: int, command: list[str]) -> None:
    """Does not return."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    for what, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    os.execvp(command[0], command)  # noqa: S606 - the command is the agent's own, without a shell


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
