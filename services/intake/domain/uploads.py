"""A renter's file on its way in: `requested → granted → finished → stored | rejected`.

Storage decides; intake only remembers. Facts arrive in any order: what storage said last in the life of an upload stands, so a
grant that comes after the verdict changes nothing. A rejected upload may be tried again: it becomes the next `turn`, with
another id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from contracts.events import BundleRejected, BundleStored, Event, UploadFinished, UploadRequested
from services.intake.domain.ids import derived
from services.intake.domain.refusals import Refused, Why

ASK_AGAIN_AFTER = timedelta(days=1)
"""Storage drops bundles that nobody used for a week; whether an older one is still there, storage is asked again."""
OPEN = frozenset({"requested", "granted", "finished"})
"""States of an upload that has no verdict."""
OPEN_FOR = timedelta(days=8)
"""Storage has thrown away every unfinished upload before this time is over."""
MOST_OPEN = 200
MOST_OPEN_BYTES = 128 << 30
"""Announced and without a verdict at once, per account. A single upload may be larger: whether it is too large, storage says."""
GOOD_FOR = timedelta(days=5)
"""Jobs are taken for bundles that storage vouched for in this time: less than it keeps them."""


class State(StrEnum):
    REQUESTED = "requested"
    GRANTED = "granted"
    FINISHED = "finished"
    """The renter says all parts are there; storage is checking."""
    STORED = "stored"
    REJECTED = "rejected"


AFTER: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.REQUESTED: frozenset({State.GRANTED, State.FINISHED, State.STORED, State.REJECTED}),
        State.GRANTED: frozenset({State.FINISHED, State.STORED, State.REJECTED}),
        State.FINISHED: frozenset({State.STORED, State.REJECTED}),
        State.STORED: frozenset(),
        State.REJECTED: frozenset(),
    }
)
"""What may follow; anything else is late news and ignored."""


@dataclass(frozen=True)
class Upload:
    account: str
    sha256: str
    bytes: int
    turn: int
    requested_at: datetime
    state: State = State.REQUESTED
    code: str = ""
    text: str = ""
    stored_at: datetime | None = None
    blends: tuple[str, ...] = ()
    files: int = 0
    unpacked_bytes: int = 0


def requested(account: str, sha256: str, size: int, turn: int, now: datetime) -> tuple[str, Upload, Sequence[Event]]:
    id = derived("u", account, sha256, str(turn))
    return id, Upload(account, sha256, size, turn, now), [UploadRequested(upload=id, account=account, bytes=size, sha256=sha256)]


def check_room(open_bytes: Collection[int], size: int) -> None:
    """Whether one more may be announced beside these. Raises Refused."""
    if len(open_bytes) >= MOST_OPEN or (open_bytes and sum(open_bytes) + size > MOST_OPEN_BYTES):
        text = (
            f"This account has announced {len(open_bytes)} uploads of {sum(open_bytes):,} bytes that are not finished; together "
        )
        text += f"they may be {MOST_OPEN}, of {MOST_OPEN_BYTES:,} bytes."
        advice = "Finish them first; what is not gone on with is dropped after a day."
        raise Refused(Why.TOO_MANY, "too-many-uploads", text, advice)


def same_again(upload: Upload, size: int, now: datetime) -> bool:
    """True when asking again means this upload. Raises Refused when the same hash is claimed for another size."""
    if upload.state is State.REJECTED:
        return False
    if upload.bytes != size:
        text = f"This account announced the same SHA-256 with {upload.bytes} bytes before; now it says {size}."
        raise Refused(Why.CONFLICT, "size-differs", text, "One of both is wrong: hash and measure the file again.")
    return upload.stored_at is None or now - upload.stored_at < ASK_AGAIN_AFTER


def usable(upload: Upload, now: datetime) -> Upload:
    """The upload, when a job may rest on it. Raises Refused."""
    if upload.stored_at is None:
        text = f"The bundle is not ready: its upload is {upload.state}. {upload.text}".strip()
        raise Refused(Why.CONFLICT, "bundle-not-stored", text, "Finish the upload and wait until it is stored, then submit.")
    if now - upload.stored_at >= GOOD_FOR:
        text = "The bundle was sent so long ago that the farm may have dropped it."
        advice = "Announce the upload again (nothing is sent twice if it is still there), then submit."
        raise Refused(Why.CONFLICT, "bundle-too-old", text, advice)
    return upload


def granted(upload: Upload) -> Upload:
    return _moved(upload, State.GRANTED)


def finished(id: str, upload: Upload) -> tuple[Upload, Sequence[Event]]:
    """Asking twice tells once. Raises Refused when it was rejected."""
    if upload.state is State.REJECTED:
        raise Refused(Why.CONFLICT, "upload-rejected", f"This upload was rejected: {upload.text}", "Start a new upload.")
    moved = _moved(upload, State.FINISHED)
    return moved, ([UploadFinished(upload=id, account=upload.account)] if moved != upload else [])


def stored(upload: Upload, event: BundleStored, now: datetime) -> Upload:
    moved = _moved(upload, State.STORED)
    if moved == upload:
        return upload
    return replace(moved, stored_at=now, blends=event.blends, files=event.files, unpacked_bytes=event.unpacked_bytes)


def rejected(upload: Upload, event: BundleRejected) -> Upload:
    moved = _moved(upload, State.REJECTED)
    return moved if moved == upload else replace(moved, code=event.code, text=event.text)


def blend_of(upload: Upload, wanted: str | None) -> str:
    """The .blend to render. Raises Refused when it is not in the bundle, or several are and none was named."""
    if wanted is None and len(upload.blends) == 1:
        return upload.blends[0]
    if wanted in upload.blends:
        return str(wanted)
    there = ", ".join(upload.blends[:10]) or "none"
    text = f"The bundle has no {wanted!r}." if wanted else "The bundle holds several .blend files, and none was named."
    raise Refused(Why.INVALID, "invalid-blend", f"{text} It holds: {there}.", "Name one of them as `blend`.")


def _moved(upload: Upload, to: State) -> Upload:
    return replace(upload, state=to) if to in AFTER[upload.state] else upload
