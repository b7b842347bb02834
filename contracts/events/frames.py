"""A frame on its way from an agent's disk to the renter. Frame events are plural: 1..N frames of one attempt, collected for at
most a second."""

from typing import Annotated

from pydantic import Field

from contracts.events.event import Event
from contracts.grants import Grant
from contracts.values import Bytes, Frame, Id, Kind, Label, Micro, Ranges, Seconds, Sha256, Text, Value

MAX_FRAMES_PER_EVENT = 64


class RenderedFrame(Value):
    """The agent's claim about one file it holds. `pixel_sha256` is over decoded samples (see docs/decisions)."""

    frame: Frame
    bytes: Annotated[int, Field(ge=1, le=1 << 34)]
    file_sha256: Sha256
    pixel_sha256: Sha256
    cpu_micros: Annotated[int, Field(ge=0, le=10**12)]
    seconds: Seconds = 0.0


class FramesRendered(Event):
    """These frames are ready to be uploaded; also said again when an upload URL has run out."""

    grant: Grant
    frames: Annotated[tuple[RenderedFrame, ...], Field(min_length=1, max_length=MAX_FRAMES_PER_EVENT)]


class FrameUpload(Value):
    """PUT exactly `bytes` bytes of type `content_type` here; the URL refuses any other length or type."""

    frame: Frame
    url: Annotated[str, Field(max_length=4_000)]
    bytes: Bytes
    content_type: Label


class UploadGranted(Event):
    """URLs for the frames of one attempt, good for `seconds_valid` seconds; asked for again at will."""

    agent: Id
    job: Id
    attempt: Id
    uploads: Annotated[tuple[FrameUpload, ...], Field(max_length=MAX_FRAMES_PER_EVENT)]
    seconds_valid: int


class CompletedFrame(Value):
    frame: Frame
    file_sha256: Sha256
    seconds: Seconds = 0.0


class FramesCompleted(Event):
    """The agent's word that these frames are done and lie in the store. Nothing is paid on it."""

    grant: Grant
    frames: Annotated[tuple[CompletedFrame, ...], Field(min_length=1, max_length=MAX_FRAMES_PER_EVENT)]


class StoredFrame(Value):
    """A frame storage has decoded and keeps under its own key; hashes are storage's own, CPU time is the agent's claim."""

    frame: Frame
    file_sha256: Sha256
    pixel_sha256: Sha256
    bytes: Bytes
    cpu_micros: Micro
    seconds: Seconds = 0.0
    key: Annotated[str, Field(max_length=500)]
    thumbnail_key: Annotated[str, Field(max_length=500)] = ""


class FramesStored(Event):
    """Verified and kept: the one fact that completes and pays frames."""

    job: Id
    chunk: Id
    attempt: Id
    agent: Id
    kind: Kind
    generation: int
    version: int
    frames: Annotated[tuple[StoredFrame, ...], Field(min_length=1, max_length=MAX_FRAMES_PER_EVENT)]


class RejectedFrame(Value):
    frame: Frame
    code: Label
    text: Text


class FramesRejected(Event):
    """What was delivered is not the picture that was asked for."""

    job: Id
    chunk: Id
    attempt: Id
    agent: Id
    kind: Kind
    generation: int
    frames: Annotated[tuple[RejectedFrame, ...], Field(min_length=1, max_length=MAX_FRAMES_PER_EVENT)]


class FramesSuperfluous(Event):
    """Good pictures that came second: the frame was already stored from another attempt."""

    job: Id
    chunk: Id
    attempt: Id
    agent: Id
    version: int
    frames: Annotated[tuple[Frame, ...], Field(min_length=1, max_length=MAX_FRAMES_PER_EVENT)]


class FramesSealed(Event):
    """The job takes no more frames; these are what it has. Billing settles when its charges equal this."""

    job: Id
    account: Id
    outcome: Label
    frames: Ranges
    count: int
