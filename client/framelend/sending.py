"""Sending a bundle: parts of it, four at a time, each tried again with growing pauses, the rest after a break.

The farm hands out an address per part; the bytes go straight to its store. Which parts have arrived is noted in a small file, so
that the same bundle sent again after a crash goes on where it stopped.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from framelend.bundling import PIECE
from framelend.models import Part, Parts, Upload
from framelend.problems import FarmProblem, FarmUnreachable, LocalProblem

if TYPE_CHECKING:
    from framelend.client import Client

AT_ONCE = 4
TRIES = 6
PER_PAGE = 100
Sent = Callable[[int, int], None]


class Expired(Exception):
    """The store does not take this address any more: a fresh one is needed."""


class Notes:
    """Numbers of the parts that have arrived, of one upload."""

    def __init__(self, folder: Path | None, upload: str) -> None:
        self._path = folder / f"{upload}.json" if folder else None
        self._lock = threading.Lock()
        self.done: set[int] = set()
        if self._path is not None and self._path.exists():
            with suppress(OSError, ValueError):
                self.done = {int(number) for number in json.loads(self._path.read_text())}

    def add(self, number: int) -> None:
        with self._lock:
            self.done.add(number)
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_text(json.dumps(sorted(self.done)))

    def forget(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def send(client: "Client", path: Path, sent: Sent, memory: Path | None) -> Upload:
    """Raises FarmProblem, FarmUnreachable, LocalProblem."""
    size, sha256 = path.stat().st_size, _sha256(path)
    upload = client.request_upload(size, sha256)
    if upload.state in ("requested", "granted"):
        notes = Notes(memory, upload.id)
        with _nothing_if_it_is_there():
            _send_all(client, upload.id, path, size, sent, notes)
            client.finish_upload(upload.id)
        notes.forget()
    sent(size, size)
    return _verdict(client, upload.id)


@contextmanager
def _nothing_if_it_is_there() -> Iterator[None]:
    """The farm may find that it has these very bytes from this account; then there is nothing to send."""
    try:
        yield
    except FarmProblem as refused:
        if refused.code != "upload-over":
            raise


def _verdict(client: "Client", upload: str) -> Upload:
    while True:
        found = client.upload_state(upload, wait=25)
        if found.state in ("stored", "rejected"):
            return found


def _send_all(client: "Client", upload: str, path: Path, size: int, sent: Sent, notes: Notes) -> None:
    page, pages = 0, 1
    timeout = httpx.Timeout(20.0, write=120.0, read=120.0)
    with httpx.Client(timeout=timeout, limits=httpx.Limits(max_connections=AT_ONCE)) as store:
        while page < pages:
            found = client.parts(upload, page)
            pages = -(-found.parts_total // PER_PAGE)
            _send_page(client, upload, store, path, size, found, sent, notes)
            page += 1


def _send_page(
    client: "Client", upload: str, store: httpx.Client, path: Path, size: int, found: Parts, sent: Sent, notes: Notes
) -> None:
    """All of a page; addresses that ran out are asked for again."""
    for attempt in range(1, TRIES + 1):
        left = [part for part in found.parts if part.number not in notes.done]
        expired = False
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = {pool.submit(_send_part, client, store, path, size, found.part_bytes, part): part for part in left}
            try:
                for job in as_completed(jobs):
                    expired |= not _arrived(job.result, jobs[job], notes)
                    sent(min(size, len(notes.done) * found.part_bytes), size)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        if not expired:
            return
        client.rest(attempt)
        found = client.parts(upload, found.page)
    raise FarmUnreachable("The store refuses its own addresses; try again later, what was sent is kept.")


def _arrived(result: Callable[[], None], part: Part, notes: Notes) -> bool:
    try:
        result()
    except Expired:
        return False
    notes.add(part.number)
    return True


def _send_part(client: "Client", store: httpx.Client, path: Path, size: int, part_bytes: int, part: Part) -> None:
    start = (part.number - 1) * part_bytes
    length = min(part_bytes, size - start)
    for attempt in range(1, TRIES + 1):
        try:
            answer = store.put(part.url, content=_slice(path, start, length), headers={"Content-Length": str(length)})
        except httpx.TransportError as away:
            if attempt == TRIES:
                raise FarmUnreachable(
                    f"The store cannot be reached ({type(away).__name__}); send it again, the rest is kept."
                ) from away
        else:
            if answer.is_success:
                return
            if answer.status_code in (400, 401, 403, 404):
                raise Expired
        client.rest(attempt)
    raise FarmUnreachable("The store does not take a part after many tries; send it again, the rest is kept.")


def _slice(path: Path, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0:
            piece = file.read(min(PIECE, length))
            if not piece:
                raise LocalProblem(f"{path} became shorter while it was sent.")
            length -= len(piece)
            yield piece


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
