"""From a renter's file to a verified bundle."""

from typing import Annotated

from pydantic import Field

from contracts.events.event import Event
from contracts.values import BundlePath, Bytes, Id, Label, Sha256, Text, Value

MAX_PARTS = 10_000


class PartUrl(Value):
    """A URL to PUT part `number` to; its length is the part size, or what is left for the last one."""

    number: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    url: Annotated[str, Field(max_length=4_000)]


class UploadRequested(Event):
    """An account wants to send this many bytes with this hash."""

    upload: Id
    account: Id
    bytes: Annotated[int, Field(ge=1, le=1 << 40)]
    sha256: Sha256


class PartsRequested(Event):
    """A page of part URLs is wanted (again); pages count from 0 and hold 100 parts."""

    upload: Id
    account: Id
    page: Annotated[int, Field(ge=0, le=MAX_PARTS // 100)]


class PartsGranted(Event):
    """Part URLs of one page, good for `seconds_valid` seconds; `part_bytes` is the size of every part but the last."""

    upload: Id
    account: Id
    page: int
    part_bytes: Bytes
    parts_total: int
    parts: Annotated[tuple[PartUrl, ...], Field(max_length=100)]
    seconds_valid: int


class UploadFinished(Event):
    """The renter says all parts are there. Which parts really are, storage asks the store."""

    upload: Id
    account: Id


class BundleStored(Event):
    """Size, hash and archive were checked and storage holds the bytes it checked. `blends` lists the .blend files inside."""

    upload: Id
    account: Id
    bundle: Sha256
    bytes: Bytes
    unpacked_bytes: Bytes
    files: int
    blends: Annotated[tuple[BundlePath, ...], Field(max_length=100)]


class BundleRejected(Event):
    """The upload is no bundle we take; `text` says why and what to do, for the renter."""

    upload: Id
    account: Id
    code: Label
    text: Text
