"""A disk of a few gigabytes of its own for one agent, that can be filled to the last byte and emptied again in a moment."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SIZE = 4 << 30
"""An agent takes no work without a gigabyte or two."""
_FILLER = "filler"


class SmallDisk:
    """A file system in a sparse file, mounted as root: directly, or by sudo without a question (as the farm's setup).

    Not below pytest's own folders: a run that is killed leaves it mounted, and a later one could not clear them up.
    """

    def __init__(self) -> None:
        self._folder = _folder(os.getpid())
        self._file, self.path = self._folder / "disk.img", self._folder / "disk"

    def open(self) -> None:
        _clear_up_after_the_dead()
        self.path.mkdir(parents=True)
        with self._file.open("wb") as file:
            file.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-F", "-E", f"root_owner={os.geteuid()}:{os.getegid()}", str(self._file))
        _run(*_as_root(), "mount", "-o", "loop", str(self._file), str(self.path))

    def fill(self) -> None:
        """Until nothing fits any more, not even what root alone may use."""
        with (self.path / _FILLER).open("ab") as file:
            for step in (1 << 28, 1 << 22, 1 << 12):
                _grow(file.fileno(), step)

    def free(self) -> int:
        return shutil.disk_usage(self.path).free

    def empty(self) -> None:
        (self.path / _FILLER).unlink()

    def close(self) -> None:
        _remove(self._folder)


def _folder(process: int | str) -> Path:
    return Path(tempfile.gettempdir(), f"framelend-disk-{process}")


def _clear_up_after_the_dead() -> None:
    for left in _folder("").parent.glob(_folder("*").name):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():
            _remove(left)


def _remove(folder: Path) -> None:
    if (folder / "disk").is_mount():
        _run(*_as_root(), "umount", "-l", str(folder / "disk"))
    shutil.rmtree(folder, ignore_errors=True)


def _grow(file: int, step: int) -> None:
    size = os.fstat(file).st_size
    try:
        while True:
            os.posix_fallocate(file, size, step)
            size += step
    except OSError:
        os.ftruncate(file, size)


def _as_root() -> tuple[str, ...]:
    return () if os.geteuid() == 0 else ("sudo", "-n")


def _run(*words: str) -> None:
    words = (shutil.which(words[0], path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or words[0], *words[1:])
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
