"""Assignments: chunks given to agents, and what comes of each attempt."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.events.event import Event
from contracts.grants import Grant
from contracts.values import (
    BundlePath,
    Bytes,
    Digest,
    Frame,
    Id,
    Label,
    Micro,
    Picture,
    Ranges,
    Renderer,
    RenderSettings,
    Seconds,
    Text,
    Value,
)


class ChunkAssigned(Event):
    """This agent may render these frames, from now until the lease is lost.

    `lease_seconds` counts from receipt and is renewed by every pulse; `budget_seconds` (sampling) stops the attempt as a
    whole; `scale_percent` is 50 for a probe. The grant names agent, job, chunk, attempt, kind, frames, bundle.
    """

    grant: Grant
    renderer: Renderer = Renderer.BLENDER
    image: Digest
    blend: BundlePath
    bundle_bytes: Bytes
    settings: RenderSettings
    picture: Picture
    scale_percent: Annotated[int, Field(ge=1, le=100)] = 100
    lease_seconds: int
    max_seconds_per_frame: int
    budget_seconds: int | None = None
    memory_bytes: Bytes
    earns_micro: int = 0
    """What the whole chunk will earn when every frame is verified."""
    price: Micro | None = None
    """Micro-credits per WU that the renter bids."""
    engine: Label = ""
    """As Blender names it; empty while nobody has looked into the file."""
    renter: Id | None = None
    """The account that pays: a lender may take the work of some only."""
    chosen: bool = False
    """The lender has said yes to this job, or it is work of the kind that nobody is asked about."""
    gpu: Label | None = None
    """The `id` of the agent's GPU to render on; None is the CPU."""


class AttemptVoid(Event):
    """The lease is lost; stop. `stored` are the attempt's frames that counted."""

    agent: Id
    job: Id
    chunk: Id
    attempt: Id
    stored: Ranges = ()
    reason: Text = ""


class AttemptCancelled(Event):
    """Stop now, nobody is to blame; finished frames are kept and paid."""

    agent: Id
    job: Id
    chunk: Id
    attempt: Id
    reason: Text = ""


class BundleRequested(Event):
    """The bundle of this grant is not in the agent's cache: where may it be fetched?"""

    grant: Grant


class BundleGranted(Event):
    """A URL to GET this attempt's bundle from, good for `seconds_valid` seconds."""

    agent: Id
    job: Id
    attempt: Id
    bundle: Label
    bytes: Bytes
    url: Annotated[str, Field(max_length=4_000)]
    seconds_valid: int


class ChunkCompleted(Event):
    """The agent has nothing left to do for this attempt; its slot is free and ready for the next."""

    job: Id
    chunk: Id
    attempt: Id


class Release(StrEnum):
    """Why a lender gives a chunk back; none of these is held against the scene."""

    STOPPED = "stopped"
    """The agent is shutting down or its container was killed from outside."""
    REFUSED = "refused"
    """The agent will not take it: image unknown, not enough memory or disk, or paused by its owner."""
    NETWORK = "network"
    """Bundle or upload could not be moved in time."""


class ChunkReleased(Event):
    """The lender gives the chunk back; what is finished of it stays delivered, and the scene is not blamed."""

    job: Id
    chunk: Id
    attempt: Id
    reason: Release
    text: Text = ""
    delivered: Annotated[Ranges, Field(max_length=1_000)] = ()
    """Frames that lie in the store already, whether storage has looked at them or not: nobody need render them again."""


class Fault(StrEnum):
    SCENE = "scene"
    """Blender says the file is at fault: cannot open, no camera, missing file, crash on this frame."""
    MEMORY = "memory"
    """The scene needs more memory than the container may have."""
    MACHINE = "machine"
    """Driver, disk, Docker: another agent may succeed."""
    TIME = "time"
    """A frame took longer than `max_seconds_per_frame`, or a sample longer than its budget."""


class ChunkFailed(Event):
    """The attempt could not be finished. `log_tail` is bounded and scrubbed."""

    job: Id
    chunk: Id
    attempt: Id
    fault: Fault
    frame: Frame | None = None
    text: Text = ""
    log_tail: Annotated[str, Field(max_length=8_000)] = ""
    cpu_micros: Annotated[int, Field(ge=0, le=10**12)] = 0
    hint: Text = ""
    """What the renter may do about it, where the scene is at fault."""
    delivered: Annotated[Ranges, Field(max_length=1_000)] = ()
    """As in `ChunkReleased`."""


class ProbeMeasured(Event):
    """A frame was rendered at `scale_percent` of its size only to learn its cost; the picture is thrown away."""

    grant: Grant
    frame: Frame
    scale_percent: int
    cpu_micros: Annotated[int, Field(ge=0, le=10**12)]
    seconds: Seconds = 0.0


class AttemptInHand(Value):
    """What an agent is doing, as its pulse tells it."""

    attempt: Id
    chunk: Id
    job: Id
    frame: Frame | None = None
    frame_started_seconds_ago: Seconds = 0.0
    text: Label = ""
    sample: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    samples: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How far the frame is, where the renderer tells."""
    remaining_seconds: Seconds | None = None
    """Of the frame, by the renderer's own guess."""
