"""What the settings name on this machine is opened before the broker is asked: a wrong folder, file or port is its owner's fault.

He reads one line that names the setting, and the process ends as unusable: starting it again would not help. What mends itself
(a full disk, too many open files) stays the system's error, after which it is started again.
"""

import contextlib
import errno
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from agent.container import Engine
from agent.journal import Journal
from agent.lender import UnusableSettings
from agent.process import Processes, chosen
from agent.settings import AgentSettings, Credential
from agent.workplace import Folders

MENDS_ITSELF = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
BROKEN = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


@dataclass(frozen=True)
class Premises:
    """What this machine has of its own, before anybody is asked for work."""

    settings: AgentSettings
    credential: Credential
    folders: Folders
    journal: Journal
    engine: Engine | Processes


@contextlib.asynccontextmanager
async def premises(settings: AgentSettings, credential: Credential, folders: Folders) -> AsyncIterator[Premises]:
    """Raises UnusableSettings."""
    with contextlib.ExitStack() as stack:
        with _readable(folders):
            journal = Journal(folders.journal)
            stack.callback(journal.close)
            home = journal.home()
        engine = await chosen(settings, home)
        stack.callback(engine.close)
        yield Premises(settings, credential, folders, journal, engine)


@contextlib.contextmanager
def named(setting: str, value: object) -> Iterator[None]:
    """Raises UnusableSettings where what the setting says cannot be used."""
    try:
        yield
    except OSError as wrong:
        if wrong.errno in MENDS_ITSELF:
            raise
        raise UnusableSettings(f"{setting}: {value} cannot be used: {wrong.strerror or wrong}") from None


@contextlib.contextmanager
def _readable(folders: Folders) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as broken:
        if getattr(broken, "sqlite_errorcode", 0) & 0xFF not in BROKEN:
            raise
        mend = "move it away: unfinished work is given to others, and this machine begins anew"
        raise UnusableSettings(f"{folders.journal} cannot be read ({broken}); {mend}") from None
