"""What survives a crash: events not yet confirmed, and attempts with their finished frames, in one SQLite file.

A frame's new standing and the event that tells it are written in one transaction, so a restart neither forgets nor invents.
Writes are synchronous and small; the file is in WAL mode, where a crash of this process loses nothing.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from agent.domain.attempt import Attempt, HeldFrame, Phase, Standing
from agent.lasting import LastingClock, Reserve
from contracts.bus import Announcement, NotAnEvent, new_id, read
from contracts.events import ChunkAssigned, Event, RenderedFrame
from contracts.values import MICRO

_TABLES = """
create table if not exists events (
  number integer primary key autoincrement, id text not null, key text not null, body text not null, trace text not null,
  until real not null) strict;
create table if not exists attempts (
  attempt text primary key, assignment text not null, trace text not null, until real not null, ended integer not null) strict;
create table if not exists reports (attempt text primary key references attempts on delete cascade) strict;
create table if not exists home (id text not null) strict;
create table if not exists runs (run text not null) strict;
create table if not exists machine (agent text not null) strict;
create table if not exists days (
  day text primary key, rendered integer not null, delivered integer not null, cpu_micros integer not null,
  expected_micro integer not null) strict;
create table if not exists frames (
  attempt text not null references attempts on delete cascade, frame integer not null, picture text not null,
  standing text not null, primary key (attempt, frame)) strict;
"""


_REMEMBERED = """
select attempt, assignment, trace, until, ended, attempt in (select attempt from reports) from attempts
"""
_LAST_GIVEN = """
select json_extract(assignment, '$.grant.agent') from attempts where json_valid(assignment) order by rowid desc limit 1
"""
"""To whom: a journal of before does not say whose it is."""
_ADD_TO_DAY = """
insert into days values (?, ?, ?, ?, ?) on conflict (day) do update set
  rendered = rendered + excluded.rendered, delivered = delivered + excluded.delivered,
  cpu_micros = cpu_micros + excluded.cpu_micros, expected_micro = expected_micro + excluded.expected_micro
"""


@dataclass(frozen=True)
class Waiting:
    """An announcement that is not confirmed yet, by its number in the journal."""

    number: int
    announcement: Announcement


@dataclass(frozen=True)
class Remembered:
    """An attempt of a former run of this agent. `seconds_left` until its grant ends. `surveyed`: its report was told."""

    assignment: ChunkAssigned
    trace: Mapping[str, str]
    seconds_left: float
    ended: bool
    frames: tuple[tuple[RenderedFrame, Standing], ...]
    surveyed: bool = False


class Journal:
    """Used from the event loop only. `reserve` keeps room beside the file, so that a full disk stops no decision."""

    def __init__(self, path: Path) -> None:
        self.reserve = Reserve(path.with_suffix(".reserve"))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._clock = self._opened()
        except sqlite3.OperationalError as failed:
            if failed.sqlite_errorcode not in _NO_ROOM:
                raise
            self.reserve.spend()
            self._clock = self._opened()

    def _opened(self) -> LastingClock:
        """Even that takes some kilobytes of the disk."""
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=normal; pragma foreign_keys=on;")
        self._db.executescript(_TABLES)
        return LastingClock(self._db)

    def close(self) -> None:
        self._db.close()

    def open_attempt(self, attempt: Attempt, trace: Mapping[str, str], seconds_left: float) -> None:
        """Before anything is done about it."""
        with self._transaction():
            self._db.execute(
                "insert or ignore into attempts values (?, ?, ?, ?, 0)",
                (attempt.id, attempt.assignment.model_dump_json(), json.dumps(dict(trace)), self._clock.now() + seconds_left),
            )

    def record(self, before: Attempt, after: Attempt, told: Iterable[Event], trace: Mapping[str, str]) -> None:
        """One decision: frames whose standing changed, a report, and what is to be told, together."""
        until = self._clock.now() + 86_400
        with self._transaction():
            for held in _changed(before, after):
                row = (after.id, held.frame, held.picture.model_dump_json(), held.standing)
                self._db.execute("insert or replace into frames values (?, ?, ?, ?)", row)
            if after.surveyed and not before.surveyed:
                self._db.execute("insert into reports values (?)", (after.id,))
            if after.phase is Phase.ENDED and before.phase is not Phase.ENDED:
                self._db.execute("update attempts set ended = 1 where attempt = ?", (after.id,))
            self._count(before, after)
            for event in told:
                self._keep(Announcement(event, trace=trace), until)

    def _count(self, before: Attempt, after: Attempt) -> None:
        """What this machine did today, by its own clock: for its owner only."""
        grant, known = after.assignment.grant, {held.frame: held.standing for held in before.frames}
        fresh = [held for held in after.frames if held.frame not in known]
        done = [held for held in _changed(before, after) if held.standing is Standing.COMPLETED]
        if fresh or done:
            earned = after.assignment.earns_micro * len(done) // max(1, len(grant))
            sums = (_today(), len(fresh), len(done), sum(held.picture.cpu_micros for held in fresh), earned)
            self._db.execute(_ADD_TO_DAY, sums)

    def today(self) -> dict[str, Any]:
        """Frames, CPU time and what the delivered ones should earn, since midnight."""
        row = self._db.execute("select * from days where day = ?", (_today(),)).fetchone() or (_today(), 0, 0, 0, 0)
        day, rendered, delivered, cpu, expected = row
        told = {"rendered": rendered, "delivered": delivered, "cpu_seconds": cpu / MICRO, "expected_micro": expected}
        return {"day": day, **told}

    def keep(self, event: Event, trace: Mapping[str, str], seconds: float = 86_400) -> None:
        """An event that belongs to no attempt of ours; worthless after `seconds`."""
        with self._transaction():
            self._keep(Announcement(event, trace=trace), self._clock.now() + seconds)

    def forget(self, attempt: str) -> None:
        with self._transaction():
            self._db.execute("delete from attempts where attempt = ?", (attempt,))

    def waiting(self, after: int, most: int) -> list[Waiting]:
        """Events not confirmed yet, oldest first, with numbers above `after`; worthless ones are dropped on the way, if the disk
        has room to write that down."""
        now = self._clock.now()
        with suppress(NoRoom), self._transaction():
            self._db.execute("delete from events where until < ?", (now,))
        wanted = "select number, id, key, body, trace from events where number > ? and until >= ? order by number limit ?"
        rows = self._db.execute(wanted, (after, now, most)).fetchall()
        return [waiting for row in rows if (waiting := self._read(row)) is not None]

    def confirmed(self, numbers: Iterable[int]) -> None:
        with self._transaction():
            self._db.executemany("delete from events where number = ?", ((number,) for number in numbers))

    def belong_to(self, agent: str) -> bool:
        """Whether it did already, or to nobody. What another one was given and had to say, in the time before this machine was
        enrolled anew, is forgotten: nobody would believe it of this one."""
        row = self._db.execute("select agent from machine").fetchone()
        if row is not None and row[0] == agent:
            return True
        row = row or self._db.execute(_LAST_GIVEN).fetchone()
        is_others = row is not None and row[0] != agent
        with self._transaction():
            self._db.execute("delete from machine")
            if is_others:
                self._db.execute("delete from attempts")
                self._db.execute("delete from events")
            self._db.execute("insert into machine values (?)", (agent,))
        return not is_others

    def home(self) -> str:
        """The id of this agent's folder, made once."""
        with self._transaction():
            self._db.execute("insert into home select ? where not exists (select 1 from home)", (new_id(),))
        return str(self._db.execute("select id from home").fetchone()[0])

    def new_run(self) -> str:
        """The id of this process run: later than every former one, even when this machine's clock went backwards."""
        row = self._db.execute("select max(run) from runs").fetchone()
        run = later(new_id(), row[0])
        with self._transaction():
            self._db.execute("delete from runs")
            self._db.execute("insert into runs values (?)", (run,))
        return run

    def depth(self) -> int:
        return int(self._db.execute("select count(*) from events").fetchone()[0])

    def remembered(self) -> Iterator[Remembered]:
        """Attempts of former runs. What a newer version cannot read any more is dropped."""
        rows = self._db.execute(_REMEMBERED).fetchall()
        for attempt, assignment, trace, until, ended, reported in rows:
            try:
                yield Remembered(
                    assignment=ChunkAssigned.model_validate_json(assignment),
                    trace=json.loads(trace),
                    seconds_left=until - self._clock.now(),
                    ended=bool(ended),
                    frames=tuple(self._frames(attempt)),
                    surveyed=bool(reported),
                )
            except ValueError:
                self.forget(attempt)

    def _frames(self, attempt: str) -> Iterator[tuple[RenderedFrame, Standing]]:
        rows = self._db.execute("select picture, standing from frames where attempt = ? order by rowid", (attempt,)).fetchall()
        for picture, standing in rows:
            yield RenderedFrame.model_validate_json(picture), Standing(standing)

    def _keep(self, announcement: Announcement, until: float) -> None:
        event = announcement.event
        row = (
            announcement.id,
            event.key(),
            event.model_dump_json(exclude_none=True),
            json.dumps(dict(announcement.trace)),
            until,
        )
        self._db.execute("insert into events (id, key, body, trace, until) values (?, ?, ?, ?, ?)", row)

    def _read(self, row: tuple[int, str, str, str, str]) -> Waiting | None:
        number, message_id, key, body, trace = row
        try:
            return Waiting(number, Announcement(read(key, body.encode()), id=message_id, trace=json.loads(trace)))
        except NotAnEvent:
            with suppress(NoRoom), self._transaction():
                self._db.execute("delete from events where number = ?", (number,))
            return None

    def _transaction(self) -> "_Transaction":
        self.reserve.look()
        return _Transaction(self._db, self.reserve)


def later(fresh: str, than: str | None) -> str:
    """`fresh`, or when it does not come after `than`, an id that does: a UUIDv7 begins with 48 bits of milliseconds."""
    if than is None or fresh > than:
        return fresh
    milliseconds = (UUID(than).int >> 80) + 1
    return str(UUID(int=(milliseconds << 80) | (UUID(fresh).int & ((1 << 80) - 1))))


class NoRoom(Exception):
    """The disk is full, or what its user may use of it: nothing was written, and may be a moment later."""


_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""SQLite calls a disk full only when the system does: a quota that is used up is a failed write, and tells no reason."""


class _Transaction:
    """`begin immediate` … `commit`, or `rollback` when anything raises. Raises NoRoom; then the reserve is spent."""

    def __init__(self, db: sqlite3.Connection, reserve: Reserve) -> None:
        self._db, self._reserve = db, reserve

    def __enter__(self) -> None:
        try:
            self._db.execute("begin immediate")
        except sqlite3.OperationalError as failed:
            self._tell(failed)

    def __exit__(self, kind: object, raised: BaseException | None, *_: object) -> None:
        try:
            self._db.execute("commit" if kind is None else "rollback")
        except sqlite3.OperationalError as failed:
            if self._db.in_transaction:  # mostly it has done so by itself
                self._db.execute("rollback")
            raised = raised or failed
        if isinstance(raised, sqlite3.OperationalError):
            self._tell(raised)

    def _tell(self, failed: sqlite3.OperationalError) -> NoReturn:
        if failed.sqlite_errorcode in _NO_ROOM:
            self._reserve.spend()
            raise NoRoom from failed
        raise failed


def _changed(before: Attempt, after: Attempt) -> Iterator[HeldFrame]:
    known = {held.frame: held.standing for held in before.frames}
    return (held for held in after.frames if known.get(held.frame) is not held.standing)


def _today() -> str:
    return time.strftime("%Y-%m-%d")
