"""A job from its submission to its end, as renters and services see it."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from contracts.events.event import Event
from contracts.values import (
    Audience,
    Band,
    BundlePath,
    Bytes,
    Curve,
    Frame,
    Id,
    Label,
    Limits,
    Micro,
    Order,
    Outlook,
    PriceLine,
    Ranges,
    RenderSettings,
    Seconds,
    Sha256,
    Text,
    Value,
)


class JobSubmitted(Event):
    """A renter asks for these frames of this bundle's .blend. Empty `frames` means the file's own range.

    `price_per_wu_micro` is the renter's bid in micro-credits per WU. Intake has seen that the bundle is this account's.
    """

    job: Id
    account: Id
    name: Label
    bundle: Sha256
    bundle_bytes: Bytes
    blend: BundlePath
    frames: Annotated[Ranges, Field(max_length=10_000)] = ()
    settings: RenderSettings = RenderSettings()
    price_per_wu_micro: Annotated[int, Field(ge=1, le=10**12)]
    limits: Limits = Limits()
    audience: Audience = Audience.ANYONE
    """Superseded by `allows`."""
    allows: Annotated[tuple[Audience, ...], Field(max_length=4)] = ()
    """Whom the renter lets render, whom he likes best first; empty: anyone. The farm's house agents inspect, take one sample and
    confirm faults whatever is said here."""
    lenders: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    """Accounts and agents that NAMED means."""
    order: Order = Order.FORWARD


class SampledWork(Value):
    """Work recognised for one inspecting, sampling or probing attempt, already bounded by its time budget and by what the
    anchor makes plausible. `frames` are the final frames it gave, none for an inspection or a probe."""

    attempt: Id
    agent: Id
    kind: Label
    frames: Ranges = ()
    micro_wu: Micro


class SamplingMeasured(Event):
    """Work that the deposit pays. Told when sampling ends, and again for attempts that end later or when the job ends
    before; each attempt is charged once."""

    job: Id
    work: Annotated[tuple[SampledWork, ...], Field(max_length=1_000)]


class JobEstimated(Event):
    """What the job will cost in work and time. `frames` are those still to render; sampled ones are not among them."""

    job: Id
    account: Id
    version: Annotated[int, Field(ge=1, le=1_000)]
    curve: Curve
    frames: Annotated[Ranges, Field(max_length=10_000)]
    micro_wu: Band
    seconds: Band
    price_per_wu_micro: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """The bid to make the price of, as it stood at the estimate. None: as submitted."""
    outlook: Outlook | None = None
    """Of a job with a deadline."""
    reason: Text = ""
    """Why there is a further version."""


class JobQuoted(Event):
    """A firm price for one version. `price_micro` is what the renter pays in all at most: sampling, frames, fixed lines."""

    job: Id
    account: Id
    version: int
    price_micro: Micro
    lines: tuple[PriceLine, ...]
    micro_wu: Band
    seconds: Band
    expires_at: AwareDatetime
    within_max_cost: bool = True
    outlook: Outlook | None = None
    reason: Text = ""
    """Why there is a further version."""
    left_frames: Annotated[int, Field(ge=0)] | None = None
    """Of a further version: the frames it is about; the others stay at the price they were accepted for."""
    left_micro: Micro | None = None
    left_before_micro: Micro | None = None
    """What rendering those costs at this version, and what it would have cost at the accepted one."""


class QuoteAccepted(Event):
    """The renter takes this version's price; once it is held in full, the job starts."""

    job: Id
    account: Id
    version: int
    max_cost: Micro | None = None
    """His limit as it stands now, in micro-credits: it is compared here and nowhere later. None: the one he submitted."""


class QuoteDeclined(Event):
    """The renter does not want this price; the job ends and pays for its sampling only."""

    job: Id
    account: Id
    version: int


class QuoteExpired(Event):
    """Nobody accepted in time; the job ends and is settled at what sampling cost."""

    job: Id
    account: Id
    version: int


class FrameUnderWay(Value):
    """As an agent says, up to ten seconds old. Samples and seconds only where the renderer tells."""

    frame: Frame
    seconds: Seconds = 0.0
    sample: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    samples: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    remaining_seconds: Seconds | None = None


class AgentShare(Value):
    """Who renders what, for people to look at."""

    agent: Id
    frames: tuple[Frame, ...] = ()
    stored: int
    micro_wu_per_minute: Micro = 0
    under_way: Annotated[tuple[FrameUnderWay, ...], Field(max_length=64)] = ()


class JobProgressed(Event):
    """A snapshot at most once a second. `state` and `reason` are the job's; `revision` grows with every change of state, and
    within a state `stored` only grows. What agents have in hand only the shard of the scheduler that hears them knows: of the
    others' agents `shard` (from 0) of `shards` says nothing."""

    job: Id
    account: Id
    state: Label
    reason: Text = ""
    revision: int
    stored: int
    total: int
    remaining_seconds: Band | None = None
    agents: Annotated[tuple[AgentShare, ...], Field(max_length=200)] = ()
    shard: int | None = Field(default=None, ge=0)
    shards: int | None = Field(default=None, ge=2)


class JobStateChanged(Event):
    """The job moved; `reason` in words a renter understands. `revision` counts the moves of this job."""

    job: Id
    account: Id
    state: Label
    reason: Text = ""
    revision: int
    outlook: Outlook | None = None
    """Of a deadline or a start that its renter has moved since the estimate."""


class JobRendered(Event):
    """Every frame is stored; nothing is left to give out."""

    job: Id
    account: Id
    fps_milli: int = 24_000


class JobFailed(Event):
    """The job cannot go on; what was stored stays paid and downloadable. `log_tail` is bounded and from the renderer."""

    job: Id
    account: Id
    code: Label
    reason: Text
    hint: Text = ""
    log_tail: Annotated[str, Field(max_length=8_000)] = ""


class JobCancelled(Event):
    """The job was stopped before its end; `reason` says by whom or why."""

    job: Id
    account: Id
    reason: Text


class PackagedFile(Value):
    name: Label
    key: Annotated[str, Field(max_length=500)]
    bytes: Bytes
    sha256: Sha256


class JobPackaged(Event):
    """ZIP, video and contact sheet are there until `until`."""

    job: Id
    account: Id
    files: tuple[PackagedFile, ...]
    until: AwareDatetime


class JobPurged(Event):
    """The renter's files and pictures of this job are gone from the store."""

    job: Id
    account: Id
