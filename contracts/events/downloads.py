"""How a renter's pictures and files reach him: by short-lived addresses."""

from typing import Annotated

from pydantic import Field

from contracts.events.event import Event
from contracts.values import Bytes, Id, Label, Sha256, Value


class DownloadsRequested(Event):
    """The owner wants URLs: `names` are `frames/<n>`, `thumbnails/<n>`, or names of packaged files."""

    request: Id
    job: Id
    account: Id
    names: Annotated[tuple[Label, ...], Field(max_length=200)]


class Download(Value):
    name: Label
    url: Annotated[str, Field(max_length=4_000)]
    bytes: Bytes
    sha256: Sha256


class DownloadsGranted(Event):
    """URLs for what exists of the names asked for."""

    request: Id
    job: Id
    account: Id
    downloads: tuple[Download, ...]
    seconds_valid: int
