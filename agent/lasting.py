"""What the journal stands on, on a machine we do not rule: a clock that nobody turns back, and room that nobody takes."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

CRAMPED_BYTES = 2 << 20
"""With less than this free the reserve is given up: a decision takes some kilobytes of the journal."""
RESERVE_BYTES = 16 << 20
ROOM_BYTES = 64 << 20
"""What must be free beside the reserve before it is taken again, so that it does not come and go."""
AGAIN_SECONDS = 10.0
"""Between two tries to take it where the file system shows room that it does not give, as with a quota."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class LastingClock:
    """Seconds like those of the wall clock, for times kept on disk. While the machine is not booted again it goes on evenly,
    through sleep too, whatever becomes of the wall clock; over a boot the wall clock is all there is."""

    def __init__(self, db: sqlite3.Connection) -> None:
        db.execute("create table if not exists clock (boot text not null, ahead real not null) strict")
        boot = _BOOT.read_text(encoding="ascii").strip()
        row = db.execute("select ahead from clock where boot = ?", (boot,)).fetchone()
        self._ahead = float(row[0]) if row else time.time() - _since_boot()
        if row is None:
            db.execute("delete from clock")
            db.execute("insert into clock values (?, ?)", (boot, self._ahead))

    def now(self) -> float:
        return _since_boot() + self._ahead


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Reserve:
    """A file that holds some room on the disk, given up when the disk is full: what was decided can then still be written down,
    and finished frames can still be told."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path, self._size = path, size
        self.full = False
        """Whether the disk was found full and the reserve is spent: no work may be taken."""
        self._try_at = 0.0
        self.look()

    def look(self) -> None:
        """Spends the reserve when the disk is full, takes it again when there is room. Costs a system call."""
        free = self._free()
        if free < CRAMPED_BYTES:
            self._give_up()
        elif (self.full or not self._held()) and free > self._size + ROOM_BYTES and _since_boot() >= self._try_at:
            self.full = not self._take()
            self._try_at = _since_boot() + AGAIN_SECONDS if self.full else 0.0

    def spend(self) -> None:
        """Something could not be written, whatever the file system says is free: its user's quota may be used up."""
        self._give_up()
        self._try_at = _since_boot() + AGAIN_SECONDS

    def _give_up(self) -> None:
        with contextlib.suppress(OSError):
            os.truncate(self._path, 0)
        self.full = True

    def _free(self) -> int:
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize

    def _held(self) -> bool:
        return self._path.exists() and self._path.stat().st_size == self._size

    def _take(self) -> bool:
        """With what must be free beside it: nothing else tells what a quota has left."""
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size + ROOM_BYTES)
                os.ftruncate(file.fileno(), self._size)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        return True
