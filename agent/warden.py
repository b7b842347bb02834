"""The first process of every container: ends it when its agent is gone, or when its time is over, whoever still watches.

An agent that is killed cannot kill its containers, and may never be started again. So the agent holds the container's stdin and
says nothing on it; Docker closes it when the agent's connection breaks, however the agent ended. This file travels as text on
the container's command line, so that the guard is the lender's and not part of an image he was sent. It is process 1: nothing
inside can stop or trace it, and when it ends the kernel kills all the others.
"""

import ctypes
import os
import select
import signal
import sys
import time

ABANDONED, OVERDUE = 90, 91
"""Exit codes: the agent has gone; the container's own time was over."""
_NOT_DUMPABLE = 4
_READ = 4_096
_LOWEST_NICE = 19
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_ONE_PROCESS, _IDLE_CLASS = 1, 3


def main(seconds: float, priority: str, command: list[str]) -> int:
    """Runs `command` and returns its exit code as a shell would, or one of ours."""
    ctypes.CDLL(None).prctl(_NOT_DUMPABLE, 0, 0, 0, 0)  # else a process of the same user could trace this one
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 does not get what it has no handler for
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    child = _start(command)
    if priority == "lowest":
        _behind_everybody(child)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if _agent_is_gone(ended, left):
            return ABANDONED
        code = _reap(child)
        if code is not None:
            return code
    return OVERDUE


def _start(command: list[str]) -> int:
    nothing = os.open(os.devnull, os.O_RDONLY)
    return os.posix_spawnp(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_CLOSE, nothing)]
    )


def _behind_everybody(child: int) -> None:
    """The lowest nice, and the disk only when nobody else wants it (ioprio_set(2); glibc has no name for it). Both are handed on
    to whatever the child starts. The warden itself stays awake."""
    os.setpriority(os.PRIO_PROCESS, child, _LOWEST_NICE)
    call = _IOPRIO_SET.get(os.uname().machine)
    if call is not None:
        ctypes.CDLL(None).syscall(call, _ONE_PROCESS, child, _IDLE_CLASS << 13)


def _agent_is_gone(ended: int, seconds: float) -> bool:
    """Waits until something happens, and says whether it was that."""
    ready, _, _ = select.select([0, ended], [], [], seconds)
    if ended in ready:
        os.read(ended, _READ)
    return 0 in ready and not os.read(0, _READ)


def _reap(child: int) -> int | None:
    """Every process whose parent has gone ends here; the exit code of ours once it has ended."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return OVERDUE
        if process == 0:
            return None
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
