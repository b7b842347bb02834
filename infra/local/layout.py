"""Where the files of a farm are. One folder holds all of it, so that removing the folder removes the farm."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.local.failure import FarmError

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = CHECKOUT / ".farm-tools"
PYTHON = Path(sys.executable)
LONGEST_SOCKET_PATH = 100
"""The kernel allows 107 bytes for the path of a Unix socket; supervisor appends a process id while it binds."""


@dataclass(frozen=True)
class Layout:
    """The folder of one farm and the names inside it."""

    root: Path

    @classmethod
    def of(cls, folder: str | os.PathLike[str] | None = None) -> Layout:
        """The farm in ``folder``, else in ``FARM_DIR``, else in ``.farm`` of the checkout."""
        chosen = folder or os.environ.get("FARM_DIR") or CHECKOUT / ".farm"
        layout = cls((CHECKOUT / chosen).resolve())
        if len(os.fsencode(layout.socket)) > LONGEST_SOCKET_PATH:
            raise FarmError(
                part="farm folder",
                why=f"{layout.root} is too long a path: a Unix socket in it could not be named",
                advice="choose a shorter one with FARM_DIR",
            )
        return layout

    @property
    def env_file(self) -> Path:
        return self.root / "farm.env"

    @property
    def socket(self) -> Path:
        return self.root / "supervisor.sock"

    @property
    def supervisor_pid(self) -> Path:
        return self.root / "supervisor.pid"

    @property
    def supervisor_config(self) -> Path:
        return self.root / "supervisord.conf"

    @property
    def programs(self) -> Path:
        return self.root / "conf.d"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def data(self, program: str) -> Path:
        return self.root / program

    def make(self) -> None:
        """Make the folders that must exist before anything starts; nobody else may look inside."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.programs):
            folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` in one step; the owner alone can read it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
