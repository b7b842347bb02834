"""What a power cut must not take back: a name that reaches the disk before its content does shows empty files afterwards."""

import os
from pathlib import Path

MANY = 2_000
"""Files of one bundle. Each costs a turn of the disk: for more of them it is quicker to write out all that this machine has."""


def sync(path: Path) -> None:
    """A file's content, or the names in a folder. Raises OSError."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_tree(folder: Path) -> None:
    """Everything below it, and itself. Raises OSError."""
    below = [folder, *folder.rglob("*")]
    if len(below) > MANY:
        os.sync()
        return
    for path in reversed(below):
        sync(path)
