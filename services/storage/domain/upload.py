"""An upload: from a renter's wish to a verified bundle.

requested → granted (the store knows it) → finished (the renter says so) → stored | rejected | expired. A bundle this account has
already goes from nothing to stored. Repeats of what is past are harmless; the impossible raises with the story so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.events import BundleRejected, BundleStored, Event, UploadRequested
from services.storage.domain.archive import MIB

PART_BYTES = 8 * MIB
MAX_PARTS = 10_000
PARTS_PER_PAGE = 100
LIFE = timedelta(hours=24)
"""Of an upload since it began, or since URLs of parts were last asked for."""
LONGEST = timedelta(days=7)
"""Also for whom asks and asks: what is announced is room that nobody else has."""


class UploadState(StrEnum):
    REQUESTED = "requested"
    GRANTED = "granted"
    FINISHED = "finished"
    STORED = "stored"
    REJECTED = "rejected"
    EXPIRED = "expired"


OVER = frozenset({UploadState.STORED, UploadState.REJECTED, UploadState.EXPIRED})
MOVES: dict[UploadState, frozenset[UploadState]] = {
    UploadState.REQUESTED: frozenset({UploadState.GRANTED, UploadState.STORED, UploadState.REJECTED, UploadState.EXPIRED}),
    UploadState.GRANTED: frozenset({UploadState.FINISHED, UploadState.EXPIRED}),
    UploadState.FINISHED: frozenset({UploadState.STORED, UploadState.REJECTED}),
    UploadState.STORED: frozenset(),
    UploadState.REJECTED: frozenset(),
    UploadState.EXPIRED: frozenset(),
}


@dataclass(frozen=True)
class Upload:
    """`multipart` is the store's name for the upload under way."""

    id: str
    account: str
    bytes: int
    sha256: str
    requested_at: datetime
    state: UploadState = UploadState.REQUESTED
    multipart: str = ""
    code: str = ""
    asked_at: datetime | None = None
    """When URLs of parts were last asked for."""


@dataclass(frozen=True)
class Bundle:
    """A verified archive of one account. `kept` is False once retention has taken it. Every upload has an object of its own, so
    that one that is thrown away never takes a newer one along."""

    account: str
    sha256: str
    upload: str
    bytes: int
    unpacked_bytes: int
    files: int
    blends: tuple[str, ...]
    used_at: datetime
    kept: bool = True

    @property
    def id(self) -> str:
        return bundle_id(self.account, self.sha256)

    @property
    def key(self) -> str:
        return bundle_key(self.account, self.sha256, self.upload)


Decided = tuple[Upload, Sequence[Event]]


def bundle_id(account: str, sha256: str) -> str:
    return f"{account}:{sha256}"


def bundle_key(account: str, sha256: str, upload: str) -> str:
    return f"bundles/{account}/{sha256}-{upload}.zip"


def incoming_key(upload: str) -> str:
    """In a folder of its own: a store on a file system removes a folder with its last object, and would take the room of every
    upload with it that has begun and sent nothing yet."""
    return f"incoming/{upload}/bundle"


def part_bytes(size: int) -> int:
    """Whole MiB, at least 8, so that no upload has more than 10,000 parts."""
    needed = -(-size // MAX_PARTS)
    return max(PART_BYTES, -(-needed // MIB) * MIB)


def parts_total(size: int) -> int:
    return -(-size // part_bytes(size))


def parts(size: int, page: int) -> list[tuple[int, int]]:
    """(number from 1, exact bytes) of the parts on a page counted from 0; the last part is what is left."""
    each, total = part_bytes(size), parts_total(size)
    numbers = range(page * PARTS_PER_PAGE + 1, min((page + 1) * PARTS_PER_PAGE, total) + 1)
    return [(number, min(each, size - (number - 1) * each)) for number in numbers]


def requested(event: UploadRequested, owned: Bundle | None, max_bytes: int, now: datetime) -> Decided:
    """A new upload; at once stored when this very account has this bundle, at once rejected when it is too large."""
    upload = Upload(event.upload, event.account, event.bytes, event.sha256, now)
    if owned is not None and owned.kept:
        return stored(upload, owned)
    if event.bytes > max_bytes:
        text = f"A bundle may have at most {max_bytes // MIB} MiB. Leave out what the scene does not use."
        return rejected(upload, "too_large", text)
    return upload, ()


def granted(upload: Upload, multipart: str) -> Decided:
    """The first multipart upload counts; another one opened at the same time is its maker's to close."""
    if upload.state is not UploadState.REQUESTED:
        return upload, ()
    return replace(_moved(upload, UploadState.GRANTED), multipart=multipart), ()


def asked(upload: Upload, now: datetime) -> Decided:
    """It goes on. On its last day that changes nothing any more."""
    if upload.state is not UploadState.GRANTED or now > upload.requested_at + LONGEST - LIFE:
        return upload, ()
    return replace(upload, asked_at=now), ()


def finished(upload: Upload) -> Decided:
    if upload.state is not UploadState.GRANTED:
        return upload, ()
    return _moved(upload, UploadState.FINISHED), ()


def stored(upload: Upload, bundle: Bundle) -> Decided:
    if upload.state is UploadState.STORED:
        return upload, ()
    event = BundleStored(
        upload=upload.id,
        account=upload.account,
        bundle=bundle.sha256,
        bytes=bundle.bytes,
        unpacked_bytes=bundle.unpacked_bytes,
        files=bundle.files,
        blends=bundle.blends,
    )
    return _moved(upload, UploadState.STORED), (event,)


def rejected(upload: Upload, code: str, text: str) -> Decided:
    if upload.state in OVER:
        return upload, ()
    event = BundleRejected(upload=upload.id, account=upload.account, code=code, text=text)
    return replace(_moved(upload, UploadState.REJECTED), code=code), (event,)


def expired(upload: Upload, now: datetime) -> Decided:
    """Nobody finished it in time. It stays what it is where somebody has gone on with it since it was looked for."""
    if upload.state not in (UploadState.REQUESTED, UploadState.GRANTED) or not _overdue(upload, now):
        return upload, ()
    text = "The upload lay still for a day, or was not finished within a week, and has been thrown away. Start it again."
    event = BundleRejected(upload=upload.id, account=upload.account, code="expired", text=text)
    return replace(_moved(upload, UploadState.EXPIRED), code="expired"), (event,)


def _overdue(upload: Upload, now: datetime) -> bool:
    return max(upload.requested_at, upload.asked_at or upload.requested_at) < now - LIFE


def _moved(upload: Upload, to: UploadState) -> Upload:
    if to not in MOVES[upload.state]:
        raise ValueError(f"upload {upload.id} is {upload.state} and cannot become {to}")
    return replace(upload, state=to)
